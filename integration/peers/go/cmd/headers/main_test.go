package main

import "testing"

func TestBothTraceFlagsAreReadAndWritten(t *testing.T) {
	given := spanContext{
		TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
		SpanID:  "00f067aa0ba902b7",
		Flags:   3,
		Baggage: map[string]string{"note": "é, 100%;=ü"},
	}
	written, err := inject(given)
	if err != nil {
		t.Fatal(err)
	}
	read, err := extract(headers{written})
	if err != nil {
		t.Fatal(err)
	}

	if written["traceparent"] != "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03" {
		t.Errorf("wrote %q", written["traceparent"])
	}
	if read.Flags != 3 || !read.Remote || read.Baggage["note"] != "é, 100%;=ü" {
		t.Errorf("read %+v", read)
	}
}
