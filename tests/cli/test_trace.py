"""``obs trace show``: traces out of files."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs._obs import Obs
from obs.cli import main
from obs.cli._drawing import draw
from obs.cli.trace._read import SERVICE, read_spans
from obs.encoding import json_line, log_dict, span_dict
from obs.model import (
    Batch,
    LogRecord,
    MetricFamily,
    Resource,
    SpanEvent,
    SpanRecord,
    TraceContext,
)
from obs.testing import MemoryExporter
from obs_exporters import JsonLinesExporter
from tests.encoding import hostile

NOON = 1_764_072_000_123_456_789
A, B, C = 0xA << 124, 0xB << 124, 0xC << 124

# The example of the OpenTelemetry protocol, `examples/trace.json`, in an envelope of more.
OTLP = {
    "resourceSpans": [
        {
            "resource": {
                "attributes": [
                    {"key": "service.name", "value": {"stringValue": "my.service"}}
                ]
            },
            "scopeSpans": [
                {
                    "scope": {"name": "my.library", "version": "1.0.0"},
                    "spans": [
                        {
                            "traceId": "5B8EFFF798038103D269B633813FC60C",
                            "spanId": "EEE19B7EC3C1B174",
                            "parentSpanId": "EEE19B7EC3C1B173",
                            "name": "I'm a server span",
                            "startTimeUnixNano": "1544712660000000000",
                            "endTimeUnixNano": "1544712661000000000",
                            "kind": 2,
                            "attributes": [
                                {
                                    "key": "my.span.attr",
                                    "value": {"stringValue": "some value"},
                                }
                            ],
                        }
                    ],
                }
            ],
        }
    ]
}


def span(trace, own, parent=0, start=0, end=1, kind="internal", **more):
    start_ns, end_ns = NOON + int(start * 1e6), NOON + int(end * 1e6)
    context = TraceContext(trace, own, True)
    return SpanRecord(f"s{own}", context, parent, kind, start_ns, end_ns, **more)


def lines(*spans, service="shop"):
    return b"".join(json_line(span_dict(each, service)) for each in spans)


@pytest.fixture
def show(tmp_path, capsys):
    """Run the command on a text in a file; give exit code, stdout and stderr."""

    def run(text, *options):
        (tmp_path / "x").write_bytes(text)
        code = main(["trace", "show", str(tmp_path / "x"), *options])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err.replace(f"{tmp_path}/", ""))

    return run


def traces(found):
    """The first digit of each trace that was drawn, in order."""
    return re.findall("^trace (.)", found.out, re.MULTILINE)


def test_what_an_exporter_wrote_is_drawn(tmp_path, capsys):
    memory = MemoryExporter()
    tel = Obs("shop", runtime=False, exporters=[memory])
    with (
        tel.start(),
        tel.span("place", kind="server"),
        pytest.raises(ValueError, match="no"),
        tel.span("charge"),
    ):
        raise ValueError("no")
    exporter = JsonLinesExporter(tmp_path / "x")
    batches = [
        Batch("traces", Resource({"service.name": "shop"}), records=memory.spans),
        Batch("logs", Resource({}), records=[LogRecord(NOON, "info", "x")]),
        Batch("metrics", Resource({}), families=[MetricFamily.of("m", "gauge", 1)]),
    ]
    for batch in batches:
        for payload in exporter.encode(batch):
            exporter.send(payload, float("inf"))
    assert main(["trace", "show", str(tmp_path / "x"), "--ascii", "--width", "60"]) == 0
    found = capsys.readouterr().out
    assert found.startswith(f"trace {memory.spans[0].trace_id}, ")
    assert "\nplace [server] " in found
    assert "\n`- x charge ValueError" in found
    assert max(map(len, found.split("\n"))) <= 60


def test_a_picture_whole(show):
    child = span(A, 2, 1, 1, 3, "client", events=[SpanEvent("retry", NOON + 2 * 10**6)])
    text = lines(span(A, 1, end=4, kind="server")) + lines(child, service="pay")
    found = show(text, "--ascii", "--width", "66")
    assert (found.code, found.err) == (0, "")
    assert found.out == (
        "trace a0000000000000000000000000000000, 4 ms, 2 spans\n"
        "                        |0        |1 ms      |2 ms     |3 ms 4 ms|\n"
        "s1 [server shop]   4 ms ==========================================\n"
        "`- s2 [client pay] 2 ms           ===========o==========\n"
    )


def test_a_span_survives_being_written_and_read():
    wrote = span(
        A, 2, 1, 1, 3, "client", outcome="error", error_type="CardError",
        events=[SpanEvent("retry", NOON + 7)],
    )  # fmt: skip
    (read,) = read_spans(lines(wrote).decode()).spans
    assert read == wrote._replace(attributes={SERVICE: "shop"})


def test_times_outside_the_calendar_are_read_too():
    wrote = span(A, 1)._replace(start_ns=10**30, end_ns=10**30 + 5)
    (read,) = read_spans(lines(wrote).decode()).spans
    assert (read.start_ns, read.end_ns) == (10**30, 10**30 + 5)


def otlp(**changed):
    data = json.loads(json.dumps(OTLP))
    data["resourceSpans"][0]["scopeSpans"][0]["spans"][0].update(changed)
    return data


@pytest.mark.parametrize("indent", [None, 2])
def test_otlp_json_in_a_line_or_as_a_document(indent):
    reading = read_spans(json.dumps(OTLP, indent=indent))
    assert reading.broken == []
    (read,) = reading.spans
    assert read == SpanRecord(
        "I'm a server span",
        TraceContext(0x5B8EFFF798038103D269B633813FC60C, 0xEEE19B7EC3C1B174, True),
        0xEEE19B7EC3C1B173,
        "server",
        1_544_712_660 * 10**9,
        1_544_712_661 * 10**9,
        attributes={SERVICE: "my.service"},
        events=[],
    )


@pytest.mark.parametrize(
    ("changed", "field", "value"),
    [
        ({"kind": 0}, "kind", "internal"),
        ({"kind": 5}, "kind", "consumer"),
        ({"kind": 6}, "kind", "internal"),
        ({"kind": "SPAN_KIND_PRODUCER"}, "kind", "producer"),
        ({"kind": "SPAN_KIND_UNSPECIFIED"}, "kind", "internal"),
        ({"parentSpanId": ""}, "parent", 0),
        ({"startTimeUnixNano": 5}, "start_ns", 5),
        ({"status": {}}, "outcome", "ok"),
        ({"status": {"code": 1}}, "outcome", "ok"),
        ({"status": {"code": 2, "message": "no"}}, "outcome", "error"),
        ({"status": {"code": "STATUS_CODE_ERROR"}}, "outcome", "error"),
        (
            {"attributes": [{"key": "error.type", "value": {"stringValue": "a.B"}}]},
            "error_type",
            "B",
        ),
        (
            {
                "events": [
                    {
                        "timeUnixNano": "7",
                        "name": "exception",
                        "attributes": [
                            {"key": "exception.type", "value": {"stringValue": "E"}}
                        ],
                    }
                ]
            },
            "error_type",
            "E",
        ),
        (
            {"events": [{"timeUnixNano": "7", "name": "x"}]},
            "events",
            [SpanEvent("x", 7)],
        ),
    ],
)
def test_what_the_fields_of_otlp_mean(changed, field, value):
    (read,) = read_spans(json.dumps(otlp(**changed))).spans
    assert getattr(read, field) == value


def test_lines_of_the_collector_and_of_ours_may_stand_together(show):
    other = json.dumps({"resourceLogs": [{"scopeLogs": []}]})
    text = lines(span(A, 1)) + f"{json.dumps(OTLP)}\n\n{other}\n".encode()
    found = show(text)
    assert (found.code, found.err, traces(found)) == (0, "", ["5", "a"])


def test_one_malformed_span_costs_no_other_of_its_line():
    data = otlp()
    spans = data["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[:] = [{"traceId": "xyz"}, *spans, {**spans[0], "endTimeUnixNano": 1e999}]
    reading = read_spans(json.dumps(data))
    assert (len(reading.spans), reading.broken) == (1, [1])


def test_what_is_no_span_is_passed_over(show):
    log = LogRecord(NOON, "info", "x", fields={"type": "span", "name": "forged"})
    text = json_line(log_dict(log)) + b'[1]\n"x"\n5\nnull\n{}\n{"type":"metric"}\n'
    found = show(text + lines(span(A, 1)))
    assert (found.code, found.err, traces(found)) == (0, "", ["a"])


def test_broken_lines_are_counted(show):
    text = b'{"type":"span","na\n' + lines(span(A, 1)) + b'{"type":"span"}\n\xff\n'
    found = show(text)
    assert (found.code, traces(found)) == (0, ["a"])
    assert (
        found.err
        == "obs trace show: x: 3 of 4 lines are broken, the first is line 1.\n"
    )
    found = show(lines(span(A, 1)) + b"\n\n{")
    assert (
        found.err == "obs trace show: x: 1 of 2 lines is broken, the first is line 4.\n"
    )


def test_without_a_span_there_is_nothing_to_show(show):
    found = show(b"{}\n{}\n")
    assert (found.code, found.out, found.err) == (
        1,
        "",
        "obs trace show: no span in x.\n",
    )
    found = show(b"oops")
    assert found.code == 1
    assert found.err == (
        "obs trace show: x: 1 of 1 line is broken, the first is line 1.\n"
        "obs trace show: no span in x.\n"
    )


def test_without_a_file_there_is_nothing_to_show(capsys, tmp_path):
    assert main(["trace", "show", str(tmp_path / "none\n")]) == 1
    assert capsys.readouterr().err == (
        f"obs trace show: {tmp_path}/none\\n: No such file or directory.\n"
    )
    assert main(["trace", "show", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"obs trace show: {tmp_path}: Is a directory.\n"


THREE = lines(
    span(B, 1, start=10, end=13),
    span(A, 2, start=5, end=6),
    span(C, 3, start=20, end=22),
)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), "abc"),
        (("--last", "2"), "bc"),
        (("--last", "9"), "abc"),
        (("--slowest", "2"), "bc"),
        (("--slowest", "1"), "b"),
        (("--trace", "c"), "c"),
        (("--trace", "A0"), "a"),
        (("--trace", f"{B:032x}"), "b"),
    ],
)
def test_which_traces_are_shown(show, options, found):
    assert "".join(traces(show(THREE, *options))) == found


def test_the_slowest_come_longest_first(show):
    text = lines(span(A, 1, end=1), span(B, 2, end=3), span(C, 3, end=2))
    assert traces(show(text, "--slowest", "3")) == ["b", "c", "a"]


def test_a_trace_that_is_not_there(show):
    found = show(THREE, "--trace", "ab")
    assert (found.code, found.out) == (1, "")
    assert found.err == "obs trace show: no trace in x begins with ab.\n"


def test_all_spans_of_a_trace_are_drawn(show):
    found = show(lines(*(span(A, n) for n in range(1, 301))))
    assert found.out.count("\ns") == 300


def test_several_files_are_one_picture(tmp_path, capsys):
    (tmp_path / "shop").write_bytes(lines(span(A, 1, end=4, kind="client")))
    (tmp_path / "pay").write_bytes(lines(span(A, 2, 1, kind="server"), service="pay"))
    assert main(["trace", "show", str(tmp_path / "shop"), str(tmp_path / "pay")]) == 0
    out = capsys.readouterr().out
    assert out.count("trace ") == 1
    assert "s1 [client shop]" in out
    assert "└─ s2 [server pay]" in out


def test_stdin_and_a_terminal_without_blocks(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "obs.cli", "trace", "show", "-"],
        input=lines(span(A, 1), span(A, 2, 1)),
        capture_output=True,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert b"`- s2" in done.stdout
    assert done.stderr == b""


def test_a_byte_order_mark_is_no_part_of_the_first_line(show):
    assert show(b"\xef\xbb\xbf" + lines(span(A, 1))).err == ""


PREFIX = "not how a trace id begins, 1 to 32 hex digits"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--trace", "xyz"], f"--trace: 'xyz' is {PREFIX}"),
        (["--trace", ""], f"--trace: '' is {PREFIX}"),
        (["--trace", "0" * 33], f"--trace: '{'0' * 33}' is {PREFIX}"),
        (["--last", "0"], "--last: '0' is not a whole number from 1 to 1000000"),
        (["--width", "39"], "--width: '39' is not a whole number from 40 to 1000"),
        (["--last=1", "--slowest=1"], "--slowest: not allowed with argument --last"),
    ],
)  # fmt: skip
def test_wrong_arguments(options, text, capsys):
    with pytest.raises(SystemExit) as error:
        main(["trace", "show", "x", *options])
    assert error.value.code == 2
    assert capsys.readouterr().err.strip().endswith(f"error: argument {text}")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def mutate(data, path, value):
    *way, last = path
    for step in way:
        data = data[step]
    data[last] = value


PLACES = [
    ("resourceSpans",),
    ("resourceSpans", 0),
    ("resourceSpans", 0, "resource"),
    ("resourceSpans", 0, "scopeSpans", 0),
    *(
        ("resourceSpans", 0, "scopeSpans", 0, "spans", 0, key)
        for key in ("traceId", "spanId", "parentSpanId", "name", "kind", "status")
    ),
    *(
        ("resourceSpans", 0, "scopeSpans", 0, "spans", 0, key)
        for key in ("startTimeUnixNano", "endTimeUnixNano", "events", "attributes")
    ),
]


@given(st.sampled_from(PLACES), json_values)
def test_no_document_breaks_the_reader_or_the_picture(place, value):
    data = otlp()
    mutate(data, place, value)
    drawn(read_spans(json.dumps(data)))


@given(st.sampled_from(sorted(span_dict(span(A, 1, 2)))), json_values)
def test_no_line_breaks_the_reader_or_the_picture(name, value):
    data = span_dict(span(A, 1, 2)) | {name: value}
    drawn(read_spans(json.dumps(data)))


@given(st.lists(hostile.span_records, max_size=3))
def test_every_span_that_was_written_is_read(records):
    reading = read_spans(lines(*records).decode())
    drawn(reading)
    whole = [each for each in records if _has_ids(each)]
    assert len(reading.spans) >= len([each for each in whole if _has_times(each)])


def _has_ids(record):
    context = record.context
    return type(context) is TraceContext and all(
        type(number) is int and 0 < number < 2**64 for number in context[:2]
    )


def _has_times(record):
    return type(record.start_ns) is int and type(record.end_ns) is int


def drawn(reading):
    text = draw(reading.spans, lambda each: each.attributes[SERVICE])
    assert text.replace("\n", "").isprintable()
