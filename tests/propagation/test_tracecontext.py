"""traceparent and tracestate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from obs._diag import Diag
from obs.errors import InvalidValue
from obs.limits import Limits
from obs.model import TraceContext
from obs.propagation import Propagation

IDS = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
PARENT = f"00-{IDS}-01"
TRACE = 0x0AF7651916CD43DD8448EB211C80319C
SPAN = 0xB7AD6B7169203331

keys = st.from_regex(r"\A[a-z0-9][a-z0-9_\-*/@]{0,20}\Z")
values = st.from_regex(
    r"\A[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,20}[\x21-\x2b\x2d-\x3c\x3e-\x7e]\Z"
)
states = st.dictionaries(keys, values, max_size=10).map(
    lambda members: ",".join(f"{key}={value}" for key, value in members.items())
)


def make(diag=None, **limits):
    return Propagation(("tracecontext",), Limits(**limits), diag or Diag(strict=True))


def state_of(state, **kwargs):
    context = make(**kwargs).extract({"traceparent": PARENT, "tracestate": state})
    assert context.trace == TRACE, "a tracestate does not affect the traceparent"
    return context.tracestate


@pytest.mark.parametrize("version", ["00", "01", "cc", "fe"])
@pytest.mark.parametrize(
    ("flags", "sampled", "random"),
    [
        ("00", False, False),
        ("01", True, False),
        ("02", False, True),
        ("03", True, True),
        ("fc", False, False),
        ("ff", True, True),
    ],
)
def test_golden_headers(version, flags, sampled, random):
    context = make().extract({"traceparent": f"{version}-{IDS}-{flags}"})
    assert context == TraceContext(
        TRACE, SPAN, sampled=sampled, remote=True, random=random
    )
    written = make().inject(context)
    assert written == {"traceparent": f"00-{IDS}-0{sampled + 2 * random}"}


@pytest.mark.parametrize("rest", ["-", "-what-the-future-will-be-like"])
def test_a_higher_version_may_have_more(rest):
    assert make().extract({"traceparent": f"01-{IDS}-01{rest}"}).trace == TRACE


@pytest.mark.parametrize(
    "text",
    [
        "",
        PARENT[:-1],
        PARENT + "-",
        PARENT + "-what",
        PARENT + "\n",
        " " + PARENT,
        PARENT.upper(),
        PARENT.replace("a", "g"),
        PARENT.replace("-", "_"),
        PARENT.replace("0af", "+af"),
        PARENT.replace("0af", "\u0660af"),
        PARENT.replace("7651", "7_51"),
        f"ff-{IDS}-01",
        f"ff-{IDS}-01-x",
        f"0x-{IDS}-01",
        f"01-{IDS}-01.what",
        f"01-{IDS}-01-a,01-{IDS}-01-b",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        f"00-{IDS}-0g",
        f"00-{IDS}-1",
        f"000-{IDS}-1",
        f"{PARENT},{PARENT}",
        [PARENT, PARENT],
        [f"01-{IDS}-01-x", f"01-{IDS}-01-x"],
        ["", PARENT],
    ],
)
def test_malformed_traceparents_give_nothing_silently(text):
    headers = {"traceparent": text, "tracestate": "a=1"}
    assert make().extract(headers) == TraceContext()
    assert make().extract({"traceparent": text}) == TraceContext()


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", None),
        ("0a_-*/@=!", None),
        ("a@b@c=1", None),
        ("a=  1", None),
        (f"{'a' * 256}=1", None),
        (f"a={'x' * 256}", None),
        ("a=1, \t b=2 ", "a=1,b=2"),
        (",a=1,, ,b=2,", "a=1,b=2"),
        ("a=1,b=2,a=3", "a=1,b=2"),
        ("", ""),
        (" \t", ""),
        (["a=1", "b=2"], "a=1,b=2"),
        (["a=1", "", b"b=2"], "a=1,b=2"),
    ],
)
def test_golden_tracestates(state, kept):
    kept = state if kept is None else kept
    assert state_of(state, tracestate_bytes=600) == kept


@pytest.mark.parametrize(
    "member",
    [
        *(
            "b",
            "b=",
            "=1",
            "B=1",
            "_b=1",
            "@b=1",
            "b.c=1",
            "b=1=2",
            "b =1",
            "b=ü",
            "b=\t1",
        ),
        *(f"{'b' * 257}=1", f"b={'x' * 257}", "b=1\x7f", "b=1\n"),
    ],
)
def test_one_malformed_member_drops_the_tracestate(member):
    assert state_of(f"a=1,{member}") == ""
    assert state_of(f"{member},a=1") == ""


def test_a_tracestate_has_32_members_empty_ones_among_them():
    members = [f"k{i}=1" for i in range(33)]
    assert state_of(",".join(members[:32])) == ",".join(members[:32])
    assert state_of(",".join(members)) == ""
    assert state_of("a=1" + "," * 31) == "a=1"
    assert state_of("a=1" + "," * 32) == ""
    assert state_of("a=1,b=2", tracestate_members=1) == ""


def test_long_members_go_first_and_then_the_last_ones():
    diag = Diag()
    long, other = f"long={'x' * 124}", f"edge={'x' * 123}"
    assert (len(long), len(other)) == (129, 128)
    state = f"a=1,{long},{other},z=1"
    assert state_of(state, diag=diag) == state
    assert state_of(state, diag=diag, tracestate_bytes=len(state)) == state
    assert diag.truncated_counts().get(("traces",), 0) == 0
    for most, kept in ((200, f"a=1,{other},z=1"), (134, f"a=1,{other}"), (5, "a=1")):
        assert state_of(state, diag=diag, tracestate_bytes=most) == kept
    assert diag.truncated_counts()["traces",] == 3


def test_a_tracestate_of_a_user_is_checked_when_written():
    diag = Diag()
    context = TraceContext(TRACE, SPAN, sampled=True, tracestate="a=1\r\nX: y")
    assert make(diag).inject(context) == {"traceparent": PARENT}
    assert diag.dropped_counts()["traces", "", "invalid"] == 1
    text = "propagation: inject() got a malformed tracestate. It was left out."
    with pytest.raises(InvalidValue) as error:
        make().inject(context)
    assert str(error.value) == text
    assert make().inject(context._replace(tracestate=" ,")) == {"traceparent": PARENT}


def test_nothing_is_written_without_both_ids():
    for context in (
        TraceContext(),
        TraceContext(1, 0),
        TraceContext(0, 1, sampled=True),
    ):
        assert make().inject(context) == {}
    assert make().inject(TraceContext(TRACE, SPAN)) == {"traceparent": f"00-{IDS}-00"}


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.booleans(),
    states,
)
def test_round_trip_and_what_opentelemetry_reads(
    trace_id, span, sampled, random, state
):
    context = TraceContext(
        trace_id, span, sampled=sampled, random=random, tracestate=state
    )
    headers = make().inject(context)
    assert make().extract(headers) == context._replace(remote=True)
    theirs = trace.get_current_span(
        TraceContextTextMapPropagator().extract(headers)
    ).get_span_context()
    assert (theirs.trace_id, theirs.span_id) == (trace_id, span)
    assert theirs.trace_flags.sampled is sampled
