import json

import pytest
from opentelemetry import baggage, trace
from opentelemetry.trace import format_trace_id

from jeeves.carrier import options, sender
from jeeves.spans import attached

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SENT = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01", "baggage": "tenant=acme"}


def test_a_job_is_read_as_its_sender_wrote_it() -> None:
    context = sender({"attempts": 1, "tm": json.dumps(SENT)})

    assert format_trace_id(trace.get_current_span(context).get_span_context().trace_id) == TRACE_ID
    assert baggage.get_all(context) == {"tenant": "acme"}


def test_what_one_job_brought_goes_out_with_the_next() -> None:
    with attached(sender({"tm": json.dumps(SENT)})):
        opts = options({"attempts": 3})

    assert opts["attempts"] == 3
    assert json.loads(str(opts["tm"])) == SENT


def test_without_a_context_the_options_stay_as_they_are() -> None:
    assert options({"attempts": 3}) == {"attempts": 3}


@pytest.mark.parametrize(
    "tm",
    [None, "", "{", "5", "[1]", '{"traceparent": 5}', '{"traceparent": "00-zz"}', {"traceparent": "x"}, "[" * 100_000],
)
def test_metadata_that_cannot_be_read_begin_a_new_trace(tm: object) -> None:
    with attached(sender({"tm": json.dumps(SENT)})):
        context = sender({"tm": tm})

    assert not trace.get_current_span(context).get_span_context().is_valid
    assert baggage.get_all(context) == {}
