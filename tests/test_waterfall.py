"""Traces as text."""

import math
import re
import unicodedata
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs import DefinitionError
from obs.model import SpanEvent, SpanRecord, TraceContext
from obs.waterfall import _correct, _traces, _tree, waterfall

TRACE = 0x0AF7651916CD43DD8448EB211C80319C
KINDS = ["internal", "server", "client", "producer", "consumer"]
BAD = ["error", "cancelled", "deadline_exceeded", "aborted"]


def span(own, parent=0, start=0.0, end=1.0, kind="internal", **more):
    """A span of the one trace, with times in ms, named after its id."""
    more = {"name": f"s{own}", **more}
    context = more.pop("context", TraceContext(more.pop("trace", TRACE), own))
    start_ns, end_ns = int(start * 1e6), int(end * 1e6)
    return SpanRecord(
        **more,
        context=context,
        parent=parent,
        kind=kind,
        start_ns=start_ns,
        end_ns=end_ns,
    )


def picture(text):
    return dedent(text).strip("\n")


def rows(text):
    """The lines behind the axis."""
    lines = text.split("\n")
    axis = next(at for at, line in enumerate(lines) if re.match(r" *[╷|]0", line))
    return lines[axis + 1 :]


def columns(text):
    return sum(
        0
        if unicodedata.category(char) in ("Mn", "Me")
        else 2
        if unicodedata.east_asian_width(char) in ("W", "F")
        else 1
        for char in text
    )


SHOP = [
    span(1, 0, 0, 120, "server", name="POST /checkout"),
    span(2, 1, 5, 21.3, "client", name="SELECT cart"),
    span(3, 1, 25, 105, "client", name="POST /charge"),
    # Its clock is 50 ms ahead.
    span(
        4, 3, 85, 145, "server", name="POST /charge",
        events=[SpanEvent("retry", 100_000_000)],
    ),
    span(5, 4, 90, 131, name="bank", outcome="error", error_type="TimeoutError"),
    span(6, 1, 106, 119, name="render"),
]  # fmt: skip


def shop_service(record):
    return "pay" if record.context.span in (4, 5) else "shop"


def test_a_trace_of_two_services():
    assert waterfall(SHOP[::-1], width=80, service=shop_service) == picture(
        """
        trace 0af7651916cd43dd8448eb211c80319c, 120 ms, 6 spans, 1 error,
        clock skew corrected: 1 hop, up to 50 ms
                                                   ╷0             ╷50 ms         ╷100 ms
        POST /checkout [server shop]        120 ms █████████████████████████████████████
        ├─ SELECT cart [client shop]       16.3 ms  ▐████▌
        ├─ POST /charge [client shop]        80 ms        ▐████████████████████████▍
        │  └─ POST /charge [server pay]      60 ms           ▐████•█████████████▎
        │     └─ ✗ bank [pay] TimeoutError   41 ms             ████████████▉
        └─ render [shop]                     13 ms                                 ▐███▋
        """
    )


def test_a_trace_of_two_services_in_ascii():
    text = waterfall(SHOP, width=80, ascii=True, service=shop_service)
    assert text.isascii()
    assert text == picture(
        """
        trace 0af7651916cd43dd8448eb211c80319c, 120 ms, 6 spans, 1 error,
        clock skew corrected: 1 hop, up to 50 ms
                                                   |0             |50 ms         |100 ms
        POST /checkout [server shop]        120 ms =====================================
        |- SELECT cart [client shop]       16.3 ms  ======
        |- POST /charge [client shop]        80 ms        =========================
        |  `- POST /charge [server pay]      60 ms           =====o=============
        |     `- x bank [pay] TimeoutError   41 ms             =============
        `- render [shop]                     13 ms                                 =====
        """
    )


def test_errors_in_every_outcome():
    spans = [
        span(1, end=4, name="all"),
        *(span(at, 1, at - 1, at, outcome=word) for at, word in enumerate(BAD, 2)),
        span(6, 1, 2, 3, outcome="cancelled", error_type="CancelledError"),
    ]
    text = waterfall(spans, ascii=True)
    assert ", 6 spans, 5 errors\n" in text
    assert re.findall(r"x (s\d .*?) +1 ms", text) == [
        "s2 error",
        "s3 cancelled",
        "s6 cancelled CancelledError",
        "s4 deadline_exceeded",
        "s5 aborted",
    ]


def test_a_parent_that_is_missing_is_said():
    text = waterfall([span(1), span(2, 0x00F067AA0BA902B7), span(3, 2)])
    first, second, third = rows(text)
    assert "missing" not in first + third
    assert second.startswith("s2 (parent 00f067aa… is missing) ")
    assert third.startswith("└─ s3 ")


def test_cycles_lose_nothing():
    spans = [
        span(1, 1, name="self"),
        span(2, 4, 3, 4),
        span(3, 2, 4, 5),
        span(4, 3, 5, 6),
        # Begins before the cycle that it hangs from.
        span(5, 3, 1, 2),
    ]
    assert [re.split(r" +1 ms", line)[0] for line in rows(waterfall(spans))] == [
        "self (parents in a cycle)",
        "s2 (parents in a cycle)",
        "└─ s3",
        "   ├─ s5",
        "   └─ s4",
    ]


def test_traces_come_one_after_another_by_start():
    spans = [span(1, start=5, end=6, trace=7), span(1, start=2, end=3, trace=9)]
    first, second = waterfall(spans).split("\n\n")
    assert first.startswith(f"trace {9:032x}, 1 ms, 1 span\n")
    assert second.startswith(f"trace {7:032x}, 1 ms, 1 span\n")


def test_what_comes_twice_is_drawn_once():
    spans = [span(1), span(2, 1), span(2, 1), span(1)]
    assert waterfall(spans) == waterfall(spans[:2])


def test_a_span_id_that_client_and_server_share_is_two_rows():
    spans = [
        span(3, 2, 4, 5, name="below"),
        span(2, 1, 3, 6, "server", name="called"),
        span(2, 1, 2, 8, "client", name="caller"),
        span(1, 0, 1, 9, name="root"),
    ]
    text = waterfall(spans, ascii=True)
    assert [line[:22].rstrip() for line in rows(text)] == [
        "root",
        "`- caller [client]",
        "   `- called [server]",
        "      `- below",
    ]
    assert "skew" not in text


def test_spans_without_ids_are_all_kept():
    assert len(rows(waterfall([span(0), span(0), span(0, 5)]))) == 3


def test_services_are_shown_where_a_trace_has_several():
    spans = [span(1), span(2, 1)]
    assert "[" not in waterfall(spans, service=lambda record: "one")
    several = waterfall(spans, service=lambda record: "a" * record.context.span)
    assert "s1 [a] " in several
    assert "s2 [aa] " in several


def test_names_that_could_forge_lines_or_escapes_are_made_harmless():
    name = "a\nb\x1b[31m\r\u202e\u2028\x00\udc80"
    text = waterfall([span(1, name=name, error_type=name, outcome="error")], width=200)
    assert len(text.split("\n")) == 3
    assert text.count(r"a\nb\x1b[31m\r\u202e\u2028\x00\udc80") == 2
    assert all(char.isprintable() for char in text.replace("\n", ""))
    text.encode()


def test_wide_and_combining_characters_are_counted_by_their_columns():
    names = ["日本語", "e\u0301te\u0301", "plain", "日" * 100]
    spans = [span(1, end=9), *(span(at, 1, name=n) for at, n in enumerate(names, 2))]
    lines = rows(waterfall(spans, width=60))
    assert {columns(line[: line.index(" ms ")]) for line in lines} == {32}
    assert {columns(line) for line in lines} == {60, 39}
    assert "日" * 13 + "… " in lines[-1]


def test_a_long_name_leaves_room_for_what_comes_behind_it():
    text = waterfall([span(1, kind="client", name="x" * 2000)], width=80)
    assert rows(text)[0].startswith("x" * 32 + "… [client] 1 ms █")


def test_children_that_outlive_their_parent_are_drawn_as_they_are():
    text = waterfall([span(1, end=4), span(2, 1, 2, 8)], width=51, ascii=True)
    assert rows(text) == [
        "s1    4 ms ====================",
        "`- s2 6 ms           ==============================",
    ]


def test_moments_have_a_mark_of_one_cell():
    moments = [span(at, start=at, end=at) for at in range(3)]
    assert rows(waterfall(moments, width=40)) == [
        "s0 0 ns ▏",
        "s1 0 ns                 ▏",
        "s2 0 ns                                ▐",
    ]
    assert waterfall([span(1, start=5, end=5)], ascii=True).split("\n")[1:] == [
        "        |0",
        "s1 0 ns |",
    ]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 800, "█" * 40),
        (0, 750, "█" * 37 + "▌"),
        (50, 250, "  ▐" + "█" * 9 + "▌"),
        (45, 205, "  " + "█" * 8 + "▎"),
        (30, 40, " ▐"),
        (22.5, 30, " ▍"),
        (100, 101, "     ▏"),
        (799, 800, " " * 39 + "▐"),
    ],
)
def test_bars_are_precise_to_an_eighth_of_a_cell(start, end, expected):
    # The axis has 40 cells of 20 ms.
    spans = [span(1, end=800), span(2, 1, start, end)]
    line = rows(waterfall(spans, width=53))[1]
    assert re.split(r" ms ", line)[1] == expected


@pytest.mark.parametrize(
    ("ns", "expected"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1000, "1 µs"),
        (15_350, "15.3 µs"),
        (3_219_000, "3.22 ms"),
        (999_999_999, "1000 ms"),
        (59 * 10**9, "59 s"),
        (90 * 10**9, "1.5 min"),
        (10**15, "16667 min"),
    ],
)
def test_durations_have_three_digits_and_a_unit(ns, expected):
    text = waterfall([SpanRecord("a", TraceContext(1, 1), end_ns=ns)])
    assert text.split("\n")[0].split(", ")[1] == expected
    assert rows(text)[0].startswith(f"a {expected} ")


@pytest.mark.parametrize(
    ("ns", "expected"),
    [
        (1, "╷0            ╷0.25 ns       ╷0.5 ns        ╷0.75 ns  1 ns╷"),
        (4_000, "╷0            ╷1 µs          ╷2 µs          ╷3 µs     4 µs╷"),
        (9_000, "╷0              ╷2.5 µs         ╷5 µs            ╷7.5 µs"),
        (11_000, "╷0                        ╷5 µs                     ╷10 µs"),
    ],
)
def test_the_axis_has_three_to_five_round_times(ns, expected):
    text = waterfall([SpanRecord("a", TraceContext(1, 1), end_ns=ns)], width=66)
    assert text.split("\n")[1].strip() == expected


def test_a_server_is_moved_to_the_middle_of_its_client():
    spans = [
        span(1, 0, 0, 100, "client"),
        span(2, 1, 1000, 1060, "server"),
        span(3, 2, 1010, 1050, "client"),
        # Its clock is the first one's: 500 ms behind what its client's seems to be.
        span(4, 3, 35, 65, "server"),
        span(5, 4, 40, 60),
    ]
    assert times(spans)[0] == {
        1: (0, 100),
        2: (20, 80),
        3: (30, 70),
        4: (35, 65),
        5: (40, 60),
    }
    assert "corrected: 2 hops, up to 980 ms" in waterfall(spans).replace("\n", " ")


def test_a_server_that_outlasts_its_client_is_moved_only_if_it_begins_before():
    client = span(1, 0, 10, 20, "client")
    found, skew = times([client, span(2, 1, 5, 30, "server")])
    assert found[2] == (10, 35)
    assert skew == (1, 5_000_000)
    late = [client, span(2, 1, 15, 40, "server")]
    assert times(late)[1] == (0, 0)
    assert "skew" not in waterfall(late)


@pytest.mark.parametrize(
    "kinds", [("client", "internal"), ("internal", "server"), ("producer", "consumer")]
)
def test_only_servers_below_clients_are_moved(kinds):
    above, below = kinds
    spans = [span(1, 0, 10, 20, above), span(2, 1, 0, 3, below)]
    assert times(spans)[0] == {1: (10, 20), 2: (0, 3)}


def times(spans):
    """Where spans are drawn, in ms by id, and what was corrected, in ns."""
    (trace,) = _traces(spans, None)
    skew = _correct(_tree(trace))
    return {each.own: (each.start / 1e6, each.end / 1e6) for each in trace}, skew


@st.composite
def forests(draw):
    """Up to 40 spans of any kinds, with parents before or after them or nowhere."""
    ids = range(1, draw(st.integers(1, 40)) + 1)
    ms = st.integers(0, 1000)
    return [
        span(
            own,
            draw(st.integers(0, len(ids) + 2)),
            start := draw(ms),
            start + draw(ms),
            draw(st.sampled_from(KINDS)),
            outcome=draw(st.sampled_from(["ok", *BAD])),
            events=[SpanEvent("e", draw(ms) * 10**6)],
        )
        for own in ids
    ]


@given(forests())
def test_after_the_correction_every_server_lies_within_its_client(spans):
    (trace,) = _traces(spans, None)
    roots = _tree(trace)
    lengths = [each.end - each.start for each in trace]
    _correct(roots)
    assert [each.end - each.start for each in trace] == lengths
    for server in trace:
        client = server.parent
        if client is None or (client.kind, server.kind) != ("client", "server"):
            continue
        assert client.start <= server.start
        if server.end - server.start <= client.end - client.start:
            assert server.end <= client.end


@given(forests(), st.booleans(), st.randoms(use_true_random=False))
def test_every_span_is_drawn_once_whatever_the_order(spans, ascii, random):
    text = waterfall(spans, width=150, ascii=ascii)
    names = re.findall(r"\bs\d+\b", text)
    assert sorted(names) == sorted(each.name for each in spans)
    random.shuffle(spans)
    assert waterfall(spans, width=150, ascii=ascii) == text


NAMES = st.text(max_size=60) | st.text("日e\u0301x \x1b\n…", max_size=60)


@given(st.data(), forests(), st.integers(40, 200), st.booleans())
def test_no_line_is_wider_than_asked(data, spans, width, ascii):
    spans = [each._replace(name=data.draw(NAMES)) for each in spans[:12]]
    text = waterfall(
        spans, width=width, ascii=ascii, service=lambda record: record.name
    )
    assert max(map(columns, text.split("\n"))) <= width
    assert len(rows(text)) == len(spans)
    assert text.isascii() or not ascii


JUNK = st.sampled_from(
    [
        *(None, object(), b"x", "a\nb", "{0}{cut}", [], {}, ("x",), True, -1, 10**400),
        *(-(10**400), math.nan, math.inf, -1.5, SpanEvent("e", math.nan)),
    ]
)


CONTEXTS = JUNK | st.tuples(JUNK, JUNK).map(lambda ids: TraceContext(*ids))
EVENTS = JUNK | st.lists(JUNK | JUNK.map(lambda time: SpanEvent("e", time)), max_size=3)
FIELDS = ["name", "parent", "kind", "start_ns", "end_ns", "outcome", "error_type"]
RECORDS = st.fixed_dictionaries(
    {**dict.fromkeys(FIELDS, JUNK), "context": CONTEXTS, "events": EVENTS}
).map(lambda fields: SpanRecord(**fields))


@given(st.lists(RECORDS, max_size=8), st.integers(40, 120), st.booleans())
def test_no_record_can_make_it_raise(spans, width, ascii):
    text = waterfall(spans, width=width, ascii=ascii)
    assert max(map(columns, text.split("\n"))) <= width
    assert all(char.isprintable() for char in text.replace("\n", ""))


class Hostile(str):
    """Text that raises wherever it can."""

    __slots__ = ()

    def fail(self, *args):
        raise ZeroDivisionError

    __eq__ = __len__ = __str__ = __repr__ = __format__ = __iter__ = __getitem__ = fail
    __hash__ = fail


class HostileNumber(int):
    """A number that raises wherever it can."""

    def fail(self, *args):
        raise ZeroDivisionError

    __eq__ = __lt__ = __gt__ = __int__ = __index__ = __bool__ = __repr__ = fail
    __hash__ = __add__ = __sub__ = __neg__ = fail


class HostileList(list):
    """A list that raises when it is read."""

    def __iter__(self):
        raise ZeroDivisionError


class Liar:
    def __init__(self, kind):
        self.kind = kind

    @property
    def __class__(self):
        return self.kind


@pytest.mark.parametrize("kind", [int, float, str, TraceContext, SpanEvent])
@pytest.mark.parametrize("field", ["name", "context", "start_ns", "kind", "error_type"])
def test_what_lies_about_its_class_does_no_harm(kind, field):
    spans = [span(1)._replace(**{field: Liar(kind)}, events=[Liar(kind)])]
    assert ", 1 span" in waterfall(spans)


def test_hostile_types_do_no_harm():
    text, number = Hostile("h"), HostileNumber(7)
    record = SpanRecord(
        text,
        TraceContext(number, number),
        number,
        kind=text,
        start_ns=number,
        end_ns=number,
        outcome=text,
        error_type=text,
        events=HostileList([SpanEvent(text, number)]),
    )
    # At 7 ns of 0 to 7, and its own parent.
    lines = rows(
        waterfall([record, span(8, trace=7, end=0)], service=lambda each: text)
    )
    assert re.split(" +", lines[1]) == picture(
        "✗ h [h] h h (parents in a cycle) 0 ns ▐"
    ).split(" ")


def test_the_first_rows_are_drawn_and_the_others_counted():
    spans = [span(1), *(span(at, 1, at, at + 1) for at in range(2, 10))]
    lines = rows(waterfall(spans, max_rows=3))
    assert [line[:5] for line in lines[:-1]] == ["s1   ", "├─ s2", "├─ s3"]
    assert lines[-1] == "… and 6 more spans"
    assert "more" not in waterfall(spans, max_rows=9)
    assert ", 9 spans\n" in waterfall(spans, max_rows=3)


def test_the_row_limit_counts_over_all_traces():
    spans = [span(at, trace=trace) for trace in range(1, 5) for at in (1, 2)]
    text = waterfall(spans, max_rows=3, ascii=True)
    assert len(text.split("\n\n")) == 3
    assert text.endswith("... and 1 more span\n\n... and 4 more spans in 2 traces")
    assert len(waterfall(spans, max_rows=8).split("\n\n")) == 4


@pytest.mark.parametrize("width", [40, 100])
def test_deep_trees_keep_their_indent_bounded(width):
    spans = [span(at, at - 1, at, 3000) for at in range(1, 2001)]
    lines = rows(waterfall(spans, width=width, max_rows=2000))
    assert len(lines) == 2000
    assert lines[1999].startswith("1999… ")
    assert {line.index("└") for line in lines[20:]} == {(width // 12 - 1) * 3}
    assert all(f"s{at}"[:3] in line for at, line in enumerate(lines, 1))


def test_siblings_have_lines_between_them():
    spans = [span(1), span(2, 1), span(3, 2), span(4, 3), span(5, 1), span(6, 5)]
    lines = [line.split(" ms")[0] for line in rows(waterfall(spans, ascii=True))]
    assert lines == [
        "s1          1",
        "|- s2       1",
        "|  `- s3    1",
        "|     `- s4 1",
        "`- s5       1",
        "   `- s6    1",
    ]


def test_nothing_gives_a_line_too():
    assert waterfall([]) == "no spans"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"width": 39}, "waterfall: width got 39, needs 40 to 1000."),
        ({"width": 1001}, "waterfall: width got 1001, needs 40 to 1000."),
        ({"width": "80"}, "waterfall: width got '80', needs 40 to 1000."),
        ({"max_rows": 0}, "waterfall: max_rows got 0, needs 1 to 1000000."),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, text):
    with pytest.raises(DefinitionError, match=f"^{re.escape(text)}$"):
        waterfall([], **arguments)


@pytest.mark.parametrize(
    ("start", "end", "bar"),
    [
        (2_000_000.0, 4_000_000.0, "2 ms " + " " * 10 + "=" * 10),
        (6_000_000, 2_000_000, "0 ns " + " " * 30 + "|"),
        (math.nan, 2_000_000, "0 ns " + " " * 10 + "|"),
        (2_000_000, math.inf, "0 ns " + " " * 10 + "|"),
        (None, "later", "0 ns |"),
    ],
)
def test_times_that_are_none_become_a_moment(start, end, bar):
    odd = SpanRecord("s2", TraceContext(TRACE, 2), 1, start_ns=start, end_ns=end)
    lines = rows(waterfall([span(1, end=8), odd], width=51, ascii=True))
    assert lines[1] == "`- s2 " + bar


def test_events_are_marks_on_the_bar():
    moments = [SpanEvent("e", at * 10**6) for at in (0, 1, 2, 4, 5)]
    spans = [span(1, end=8), span(2, 1, 1, 4, events=moments)]
    assert rows(waterfall(spans, width=51, ascii=True)) == [
        "s1    8 ms ========================================",
        "`- s2 3 ms      o====o========o",
    ]


def test_a_narrow_axis_has_fewer_times():
    spans = [span(1, end=9, name="a" * 50)]
    axes = [waterfall(spans, width=width).split("\n")[-2] for width in (60, 40)]
    assert [axis.strip() for axis in axes] == ["╷0    ╷2.5 ms╷5 ms", "╷0  ╷2.5 ms"]
