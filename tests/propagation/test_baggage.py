"""The baggage header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator

from obs._diag import Diag
from obs.errors import InvalidValue
from obs.limits import Limits
from obs.model import BaggageValue, TraceContext
from obs.propagation import Propagation

TOKENS = "!#$%&'*+-.^_`|~09AZaz"
names = st.text(TOKENS, min_size=1, max_size=8)
properties = st.lists(
    st.from_regex(r"\A[a-z!|]{1,5}(=[!-+a-z=]{0,5})?\Z".replace("!-+", "!#-+")),
    max_size=3,
).map(";".join)
values = st.one_of(st.text(max_size=8), st.builds(BaggageValue, st.text(), properties))


def make(diag=None, **limits):
    return Propagation(("baggage",), Limits(**limits), diag or Diag(strict=True))


def read(header, **kwargs):
    return dict(make(**kwargs).extract({"baggage": header}).baggage)


def write(found, **kwargs):
    return make(**kwargs).inject(TraceContext(baggage=found)).get("baggage")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (
            "userId=alice,serverNode=DF%2028,isProduction=false",
            {"userId": "alice", "serverNode": "DF 28", "isProduction": "false"},
        ),
        (
            ["userId =   alice", b"serverNode = DF%2028, isProduction = false\t"],
            {"userId": "alice", "serverNode": "DF 28", "isProduction": "false"},
        ),
        ("a=", {"a": ""}),
        ("a=b=c=", {"a": "b=c="}),
        ("a=%C3%BC%e2%82%ac", {"a": "ü€"}),
        ("a=%ff%41", {"a": "\ufffdA"}),
        ("a=50%", {"a": "50%"}),
        ("a=%zz%41", {"a": "%zz%41"}),
        ("a=%0d%0a", {"a": "\r\n"}),
        ("a=1,b=2,a=3", {"a": "3", "b": "2"}),
        ("%41=1", {"%41": "1"}),
        ("", {}),
    ],
)
def test_golden_headers(header, found):
    assert read(header) == found


@pytest.mark.parametrize(
    ("header", "props"),
    [
        ("a=1;ttl=60;secret", "ttl=60;secret"),
        ("a = 1 ; ttl = 60 ;\tsecret ", "ttl=60;secret"),
        ("a=1;p==%20=", "p==%20="),
        ("a=1;p=", "p="),
    ],
)
def test_properties_stay_with_their_value(header, props):
    found = read(header)
    assert found == {"a": "1"}
    assert found["a"].properties == props
    assert write(found) == f"a=1;{props}"


@pytest.mark.parametrize(
    "member",
    [
        *(
            "b",
            "=1",
            "b c=1",
            "b=1 2",
            'b="1"',
            "b=\\",
            "b=ü",
            "ü=1",
            "b=\x00",
            " ",
            "",
        ),
        *("b=1;", "b=1;;p", "b=1;p q", "b=1;=2", 'b=1;p="2"', "(b)=1", "b=1\n"),
    ],
)
def test_a_malformed_member_is_skipped_silently(member):
    diag = Diag()
    assert read(f"a=1,{member},c=3", diag=diag) == {"a": "1", "c": "3"}
    assert read(f"{member},a=1", diag=diag) == {"a": "1"}
    assert diag.dropped_counts()["traces", "", "invalid"] == 0


@pytest.mark.parametrize(
    ("header", "limits", "found", "dropped"),
    [
        ("a=1,b=2,c=3", {"baggage_members": 3}, "abc", 0),
        ("a=1,b=2,c=3", {"baggage_members": 2}, "ab", 1),
        ("a=1,b=2,c=3,d=4", {"baggage_members": 1}, "a", 3),
        ("a=1,b=2,c=3", {"baggage_bytes": 11}, "abc", 0),
        ("a=1,b=2,c=3", {"baggage_bytes": 10}, "ab", 1),
        ("a=1,b=2,c=3", {"baggage_bytes": 7}, "ab", 1),
        ("a=1,b=2,c=3", {"baggage_bytes": 6}, "a", 2),
        ("a=1,b=2,c=3", {"baggage_bytes": 2}, "", 3),
        ("a=1,b=2,c=3,d=4", {"baggage_bytes": 11, "baggage_members": 2}, "ab", 2),
    ],
)
def test_members_past_the_limits_are_dropped_and_counted(
    header, limits, found, dropped
):
    diag = Diag()
    assert "".join(read(header, diag=diag, **limits)) == found
    assert diag.dropped_counts().get(("traces", "", "limit"), 0) == dropped
    diag = Diag()
    context = make().extract({"baggage": header})
    written = make(diag, **limits).inject(context).get("baggage", "")
    assert written == ",".join(header.split(",")[: len(found)])
    assert diag.dropped_counts().get(("traces", "", "limit"), 0) == dropped


def test_a_huge_header_is_dropped_as_a_whole_and_counted_so_far():
    diag = Diag()
    assert read("a=1," * 10**6, diag=diag) == {}
    assert 10_000 < diag.dropped_counts()["traces", "", "limit"] < 20_000
    large = "a=1," * ((8_192 + 65_536) // 4 - 1)
    assert read(large, diag=diag) == {"a": "1"}
    assert read(large + "a=1,", diag=diag) == {}


def test_the_limits_are_those_of_the_specification():
    members = {f"k{i}": "v" for i in range(64)}
    assert read(write(members)) == members
    assert write({"a": "x" * 8_190}) == "a=" + "x" * 8_190
    diag = Diag()
    assert write({"a": "x" * 8_191}, diag=diag) is None
    assert write({"a": "ü" * 8_000, "b": "1"}, diag=diag) == "b=1"
    assert diag.dropped_counts()["traces", "", "limit"] == 2


def test_values_of_simple_types_are_written_by_their_text():
    found = {"a": 1, "b": 1.5, "c": True, "d": 'ü ,;\\"%', "e": "\ud800"}
    assert write(found) == "a=1,b=1.5,c=True,d=%C3%BC%20%2C%3B%5C%22%25,e=?"
    assert write({}) is None


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("a", None, "baggage 'a' has a value of type NoneType. It was left out."),
        ("a", 10**5000, "baggage 'a' has a value of type int. It was left out."),
        ("a b", "1", "baggage 'a b' is no token. It was left out."),
        ("", "1", "baggage '' is no token. It was left out."),
        (5, "1", "baggage 5 is no token. It was left out."),
        (
            "a",
            BaggageValue("1", "p\r\nX: y"),
            "baggage 'a' has malformed properties. It was left out.",
        ),
    ],
    ids=range(6),
)
def test_what_cannot_be_written_is_counted_and_the_others_stay(name, value, text):
    diag = Diag()
    assert write({"x": "1", name: value, "y": "2"}, diag=diag) == "x=1,y=2"
    assert diag.dropped_counts()["traces", "", "invalid"] == 1
    with pytest.raises(InvalidValue) as error:
        write({name: value})
    assert str(error.value) == f"propagation: {text}"


@given(st.dictionaries(names, values, max_size=8))
def test_round_trip(found):
    headers = make().inject(TraceContext(baggage=found))
    again = make().extract(headers).baggage
    assert again == found
    for name, value in found.items():
        assert getattr(again[name], "properties", "") == getattr(
            value, "properties", ""
        )


@given(st.dictionaries(st.text("az09-", min_size=1), st.text("azé,;%", min_size=1)))
def test_opentelemetry_reads_the_same(found):
    headers = make().inject(TraceContext(baggage=found))
    assert baggage.get_all(W3CBaggagePropagator().extract(headers)) == found
