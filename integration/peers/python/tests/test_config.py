import pytest

from jeeves.config import ConfigError, read_config


def test_a_role_starts_without_any_setting() -> None:
    config = read_config({})

    assert (config.port, config.host, config.health_port) == (0, "127.0.0.1", None)
    assert config.edge_relation == "child"
    assert config.edge_baggage is None
    assert not config.provider_directives


def test_every_wrong_variable_is_named_on_one_line() -> None:
    with pytest.raises(ConfigError) as wrong:
        read_config({"PORT": "eighty", "EDGE_RELATION": "friend", "RECORD_PROMPTS": "maybe", "HOST": "::1"})

    line = str(wrong.value)
    assert line.startswith("wrong configuration: PORT: ")
    assert "EDGE_RELATION: " in line
    assert "RECORD_PROMPTS: " in line
    assert "HOST" not in line
    assert "\n" not in line


@pytest.mark.parametrize("value", ["-1", "65536", "1.5", "²"])
def test_a_port_is_a_port(value: str) -> None:
    with pytest.raises(ConfigError, match="PORT: expected a port"):
        read_config({"PORT": value})


@pytest.mark.parametrize(("value", "expected"), [("TRUE", True), ("1", True), ("off", False), ("", False)])
def test_flags_are_words_people_write(value: str, *, expected: bool) -> None:
    assert read_config({"PROVIDER_DIRECTIVES": value}).provider_directives is expected


def test_an_empty_allow_list_lets_in_no_baggage() -> None:
    assert read_config({"EDGE_BAGGAGE": ""}).edge_baggage == frozenset()
    assert read_config({"EDGE_BAGGAGE": "tenant, plan ,"}).edge_baggage == frozenset({"tenant", "plan"})
