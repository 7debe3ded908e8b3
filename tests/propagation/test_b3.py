"""B3, in one header and in several."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs._diag import Diag
from obs.limits import Limits
from obs.model import TraceContext
from obs.propagation import Propagation

TRACE_HEX, SPAN_HEX = "80f198ee56343ba864fe8b2a57d3eff7", "05e3ac9a4f6e3b90"
IDS = f"{TRACE_HEX}-{SPAN_HEX}"
TRACE, SPAN = int(TRACE_HEX, 16), int(SPAN_HEX, 16)
DECISIONS = {
    "": (None, False),
    "0": (False, False),
    "1": (True, False),
    "d": (True, True),
}
contexts = st.builds(
    lambda ids, decision: TraceContext(*ids, sampled=decision[0], debug=decision[1]),
    st.one_of(
        st.just((0, 0)),
        st.tuples(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1)),
    ),
    st.sampled_from(list(DECISIONS.values())),
)
single = Propagation(("b3",), Limits(), Diag(strict=True))
multi = Propagation(("b3multi",), Limits(), Diag(strict=True))


def context_of(trace, span, decision):
    sampled, debug = DECISIONS[decision]
    return TraceContext(trace, span, sampled=sampled, remote=True, debug=debug)


@pytest.mark.parametrize("decision", DECISIONS)
def test_golden_headers(decision):
    context = context_of(TRACE, SPAN, decision)
    text = f"{IDS}-{decision}".rstrip("-")
    assert single.extract({"b3": text}) == context
    assert single.inject(context) == {"b3": text}
    headers = {"x-b3-traceid": TRACE_HEX, "x-b3-spanid": SPAN_HEX}
    if decision:
        name = "x-b3-flags" if decision == "d" else "x-b3-sampled"
        headers[name] = "1" if decision == "d" else decision
    assert multi.extract(headers) == context
    assert multi.inject(context) == headers


@pytest.mark.parametrize("decision", ["0", "1", "d"])
def test_a_decision_alone(decision):
    context = context_of(0, 0, decision)
    assert single.extract({"b3": decision}) == context
    assert single.inject(context) == {"b3": decision}
    headers = {"x-b3-sampled": decision}
    if decision == "d":
        headers = {"x-b3-flags": "1"}
    assert multi.extract(headers) == context
    assert multi.inject(context) == headers


@pytest.mark.parametrize(
    ("text", "trace"),
    [
        (f"{IDS}-1-e457b5a2e4d86bd1", TRACE),
        (f"{TRACE_HEX[16:]}-{SPAN_HEX}-1", int(TRACE_HEX[16:], 16)),
        (f"{IDS.upper()}-1", TRACE),
    ],
)
def test_parents_short_ids_and_upper_case(text, trace):
    assert single.extract({"b3": text}) == context_of(trace, SPAN, "1")
    trace_hex, span_hex, *_ = text.split("-")
    headers = {
        "X-B3-TraceId": trace_hex,
        "X-B3-SpanId": span_hex,
        "X-B3-ParentSpanId": "whatever",
        "X-B3-Sampled": "1",
    }
    assert multi.extract(headers) == context_of(trace, SPAN, "1")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "2",
            "D",
            "-",
            "dd",
            "true",
            TRACE_HEX,
            f"{IDS}-",
            f"{IDS}-2",
            f"{IDS}-1-",
        ),
        *(f"{IDS}-1-1", f"{IDS}-1-e457b5a2e4d86bd1-", f"{IDS}-e457b5a2e4d86bd1"),
        *(
            f"{IDS}\n",
            f" {IDS}",
            IDS[1:],
            f"0{IDS}",
            f"{IDS},{IDS}",
            IDS.replace("a", "g"),
        ),
        *(
            f"{'0' * 32}-{SPAN_HEX}-1",
            f"{TRACE_HEX}-{'0' * 16}-1",
            f"{'0' * 16}-{SPAN_HEX}",
        ),
    ],
)
def test_a_malformed_single_header_gives_nothing(text):
    assert single.extract({"b3": text}) == TraceContext()


@pytest.mark.parametrize(
    "changed",
    [
        *({"x-b3-traceid": None}, {"x-b3-spanid": None}, {"x-b3-traceid": ""}),
        *({"x-b3-traceid": "0" * 32}, {"x-b3-spanid": "0" * 16}, {"x-b3-spanid": "1"}),
        *({"x-b3-traceid": "g" * 32}, {"x-b3-traceid": "1" * 31}, {"x-b3-spanid": ""}),
        *({"x-b3-sampled": "2"}, {"x-b3-sampled": "d"}, {"x-b3-sampled": ""}),
        {"x-b3-traceid": [TRACE_HEX, TRACE_HEX]},
    ],
    ids=repr,
)
def test_one_malformed_header_of_several_gives_nothing(changed):
    headers = {"x-b3-traceid": TRACE_HEX, "x-b3-spanid": SPAN_HEX, "x-b3-sampled": "1"}
    assert multi.extract(headers)
    assert multi.extract(headers | changed) == TraceContext()


@pytest.mark.parametrize(
    ("headers", "decision"),
    [
        ({"x-b3-sampled": "true"}, "1"),
        ({"x-b3-sampled": "False"}, "0"),
        ({"x-b3-sampled": ["1", "0"]}, "1"),
        ({"x-b3-sampled": "1", "x-b3-flags": "0"}, "1"),
        ({"x-b3-sampled": "0", "x-b3-flags": "1"}, "d"),
        ({"x-b3-flags": "2"}, ""),
    ],
    ids=repr,
)
def test_states_that_old_tracers_write(headers, decision):
    headers |= {"x-b3-traceid": TRACE_HEX, "x-b3-spanid": SPAN_HEX}
    assert multi.extract(headers) == context_of(TRACE, SPAN, decision)


@pytest.mark.parametrize("propagation", [single, multi], ids=["single", "multi"])
def test_an_empty_context_writes_nothing(propagation):
    assert propagation.inject(TraceContext()) == {}
    assert propagation.extract({}) == TraceContext()


@given(contexts)
def test_round_trip(context):
    for propagation in (single, multi):
        found = propagation.extract(propagation.inject(context))
        assert found == context._replace(remote=found.remote)
        assert found.remote is (bool(context) or context.sampled is not None)
