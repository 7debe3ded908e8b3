"""Jaeger's headers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs._diag import Diag
from obs.limits import Limits
from obs.model import TraceContext
from obs.propagation import Propagation

TRACE_HEX, SPAN_HEX = "80f198ee56343ba864fe8b2a57d3eff7", "05e3ac9a4f6e3b90"
TRACE, SPAN = int(TRACE_HEX, 16), int(SPAN_HEX, 16)
IDS = f"{TRACE_HEX}:{SPAN_HEX}"


def make(diag=None, **limits):
    return Propagation(("jaeger",), Limits(**limits), diag or Diag(strict=True))


@pytest.mark.parametrize(
    ("flags", "sampled", "debug"),
    [("0", False, False), ("1", True, False), ("3", True, True)],
)
def test_golden_headers(flags, sampled, debug):
    context = TraceContext(TRACE, SPAN, sampled=sampled, remote=True, debug=debug)
    headers = {"uber-trace-id": f"{IDS}:0:{flags}"}
    assert make().extract(headers) == context
    assert make().inject(context) == headers


@pytest.mark.parametrize(
    ("text", "trace", "span", "sampled"),
    [
        ("1:2:3:1", 1, 2, True),
        ("1:2::01", 1, 2, True),
        (f"{IDS.upper()}:{SPAN_HEX}:00", TRACE, SPAN, False),
        (f"{IDS}:0:1".replace(":", "%3A"), TRACE, SPAN, True),
        (f"{IDS}:{SPAN_HEX}:01".replace(":", "%3a"), TRACE, SPAN, True),
        ("1:2:0:2", 1, 2, True),
        ("1:2:0:fc", 1, 2, False),
    ],
)
def test_short_ids_encoded_colons_and_other_flags(text, trace, span, sampled):
    context = make().extract({"uber-trace-id": text})
    assert context[:3] == (trace, span, sampled)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "1",
            "1:2",
            "1:2:3",
            "1:2:3:",
            "1:2:3:4:5",
            ":2:3:1",
            "1::3:1",
            "0:1:0:1",
        ),
        *(
            "1:0:0:1",
            "g:2:3:1",
            "1:2:g:1",
            "1:2:3:g",
            "1:2:3:100",
            "1:2:0:1\n",
            "-1:2:0:1",
        ),
        *(
            f"{'1' * 33}:2:0:1",
            f"1:{'2' * 17}:0:1",
            f"1:2:{'3' * 17}:1",
            f"{IDS}:0:1" * 9,
        ),
    ],
)
def test_a_malformed_header_gives_nothing(text):
    assert make().extract({"uber-trace-id": text}) == TraceContext()


def test_baggage_has_a_header_for_each_value():
    headers = {"uberctx-a": "1+%C3%BC%20\\", "Uberctx-B": "2", "HTTP_UBERCTX_C_D": "3"}
    bad = {"uberctx-": "x", "uberctx-a b": "x", "uberctx-e": "ü"}
    found = {"a": "1+ü \\", "b": "2", "c-d": "3"}
    context = make().extract(headers | bad)
    assert context == TraceContext(remote=True, baggage=found)
    assert make().inject(context) == {
        "uberctx-a": "1%2B%C3%BC%20%5C",
        "uberctx-b": "2",
        "uberctx-c-d": "3",
    }


def test_baggage_is_limited_both_ways():
    diag = Diag()
    found = {"a": "1", "b": "2", "c": "3"}
    headers = {f"uberctx-{name}": value for name, value in found.items()}
    for n, limits in (
        (2, {"baggage_members": 2}),
        (2, {"baggage_bytes": 5}),
        (1, {"baggage_bytes": 3}),
    ):
        kept = dict(list(found.items())[:n])
        assert make(diag, **limits).extract(headers).baggage == kept
        written = make(diag, **limits).inject(TraceContext(baggage=found))
        assert written == dict(list(headers.items())[:n])
    assert diag.dropped_counts()["traces", "", "limit"] == 8


def test_names_of_baggage_come_through_in_lower_case():
    written = make().inject(TraceContext(baggage={"userId": "1"}))
    assert written == {"uberctx-userid": "1"}
    assert make().extract(written).baggage == {"userid": "1"}


@pytest.mark.parametrize("strict", [False, True])
def test_of_names_that_differ_in_case_only_the_first_is_written(strict, capfd):
    diag = Diag(strict=strict)
    context = TraceContext(baggage={"userId": "1", "b": "2", "USERID": "3"})
    headers = make(diag).inject(context, [])
    assert headers == [("uberctx-userid", "1"), ("uberctx-b", "2")]
    assert diag.dropped_counts()["traces", "", "invalid"] == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["event"] == (
        "propagation: baggage 'USERID' has another's name but for its case, which "
        "Jaeger's headers do not keep. It was left out."
    )


def test_baggage_that_cannot_be_written_is_counted():
    diag = Diag()
    context = TraceContext(baggage={"a b": "1", "c": None, "d": "1"})
    assert make(diag).inject(context) == {"uberctx-d": "1"}
    assert diag.dropped_counts()["traces", "", "invalid"] == 2


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.sampled_from([(False, False), (True, False), (True, True)]),
    st.dictionaries(st.text("az09-_", min_size=1, max_size=9), st.text(max_size=9)),
)
def test_round_trip(trace, span, flags, baggage):
    context = TraceContext(
        trace, span, sampled=flags[0], remote=True, debug=flags[1], baggage=baggage
    )
    assert make().extract(make().inject(context)) == context
