"""Whatever is recorded: nothing raises, and all of it is read back or counted."""

from math import isnan

from hypothesis import given
from hypothesis import strategies as st

from obs.model import (
    Block,
    LogRecord,
    MetricFamily,
    SpanEvent,
    SpanLink,
    SpanRecord,
    TraceContext,
)
from obs_exporters.otlp._logs import encode_logs
from obs_exporters.otlp._spans import encode_spans
from tests.exporters.otlp.oracle import (
    START,
    batch,
    encode_metrics,
    logs_in,
    metrics_in,
    pairs,
    points_of,
    traces_in,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = texts.filter(bool)
sane = st.recursive(
    texts
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
    ),
    max_leaves=8,
)
attributes = st.dictionaries(names, sane, max_size=5)
odd = st.recursive(
    st.none()
    | st.text(max_size=5)
    | st.integers()
    | st.floats()
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3)
        | st.builds(object)
        | st.frozensets(st.integers(), max_size=2)
    ),
    max_leaves=8,
)
odd_attributes = st.dictionaries(
    st.text(max_size=2) | st.integers(0, 3), odd, max_size=6
)
times = st.integers(START, START + 10**12)
contexts = st.builds(
    TraceContext,
    trace=st.integers(1, 2**128 - 1),
    span=st.integers(1, 2**64 - 1),
    sampled=st.booleans() | st.none(),
    tracestate=texts,
    remote=st.booleans(),
    random=st.booleans(),
)


@st.composite
def spans(draw, values=attributes):
    start = draw(times)
    return SpanRecord(
        name=draw(texts),
        context=draw(contexts),
        parent=draw(st.integers(0, 2**64 - 1)),
        kind=draw(
            st.sampled_from(["internal", "server", "client", "producer", "consumer"])
        ),
        start_ns=start,
        end_ns=start + draw(st.integers(0, 10**12)),
        status=draw(st.sampled_from(["unset", "ok", "error"])),
        status_message=draw(texts),
        attributes=draw(values),
        events=draw(st.lists(st.builds(SpanEvent, texts, times, values), max_size=2)),
        links=draw(st.lists(st.builds(SpanLink, contexts, values), max_size=2)),
        remote_parent=draw(st.booleans()),
        dropped=draw(
            st.dictionaries(
                st.sampled_from(["attributes", "events", "links"]),
                st.integers(0, 2**32 - 1),
            )
        ),
    )


logs = st.builds(
    LogRecord,
    time_ns=times,
    level=st.sampled_from(["trace", "debug", "info", "warning", "error", "critical"]),
    event=texts,
    logger=texts,
    trace=st.integers(0, 2**128 - 1),
    span=st.integers(0, 2**64 - 1),
    fields=attributes,
)
anything = st.none() | st.integers() | st.text(max_size=3) | st.tuples() | odd


def flags(context, remote):
    return 0x100 | bool(context.sampled) | context.random << 1 | remote << 9


@given(st.lists(spans(), max_size=4))
def test_sane_spans_are_read_back_field_by_field(records):
    found = traces_in(encode_spans(batch("traces", records)))
    for span, record in zip(found, records, strict=True):
        context = record.context
        assert span.trace_id.hex() == record.trace_id
        assert span.span_id.hex() == record.span_id
        assert span.parent_span_id.hex() == record.parent_id
        assert span.trace_state == context.tracestate
        assert span.flags == flags(context, record.remote_parent)
        assert span.name == record.name
        assert span.start_time_unix_nano == record.start_ns
        assert span.end_time_unix_nano == record.end_ns
        assert pairs(span.attributes) == list(record.attributes.items())
        assert span.status.message == record.status_message
        assert [
            (e.name, e.time_unix_nano, dict(pairs(e.attributes))) for e in span.events
        ] == [tuple(event) for event in record.events]
        assert [
            (
                e.trace_id.hex(),
                e.span_id.hex(),
                e.trace_state,
                e.flags,
                dict(pairs(e.attributes)),
            )
            for e in span.links
        ] == [
            (to.trace_id, to.span_id, to.tracestate, flags(to, to.remote), details)
            for to, details in record.links
        ]
        assert {
            "attributes": span.dropped_attributes_count,
            "events": span.dropped_events_count,
            "links": span.dropped_links_count,
        } == {"attributes": 0, "events": 0, "links": 0, **record.dropped}


@given(st.lists(logs, max_size=5))
def test_sane_logs_are_read_back_field_by_field(records):
    found = logs_in(encode_logs(batch("logs", records)))
    read = [
        (
            record.time_unix_nano,
            record.severity_text,
            record.body.string_value,
            name if version == "" else "",
            record.trace_id.hex(),
            record.span_id.hex(),
            repr(pairs(record.attributes)),
        )
        for (name, version), record in found
    ]
    expected = [
        (
            record.time_ns,
            record.level,
            record.event,
            record.logger,
            record.trace_id,
            record.span_id if record.trace else "",
            repr(list(record.fields.items())),
        )
        for record in records
    ]
    assert sorted(read) == sorted(expected)


def assert_clean(read):
    found = [name for name, _ in read]
    assert len(set(found)) == len(found)
    assert "" not in found


@given(st.lists(spans(odd_attributes) | anything, max_size=5))
def test_no_span_raises_and_none_leaves_with_equal_or_empty_names(records):
    payload = encode_spans(batch("traces", records))
    assert payload.records + payload.dropped.get("invalid", 0) == len(records)
    assert payload.records >= sum(isinstance(each, SpanRecord) for each in records)
    for span in traces_in(payload):
        for part in (span, *span.events, *span.links):
            assert_clean(pairs(part.attributes))


def changed(records, **fields):
    """Records of which at most two fields are odd."""
    pairs_ = st.one_of(
        [st.tuples(st.just(name), kind) for name, kind in fields.items()]
    )
    changes = st.lists(pairs_, max_size=2).map(dict)
    return st.builds(lambda record, to: record._replace(**to), records, changes)


wild = changed(
    spans(odd_attributes),
    name=anything,
    context=anything | st.builds(TraceContext, st.integers(-1, 2), st.integers(-1, 2)),
    parent=st.integers(-1, 2**65) | anything,
    start_ns=st.integers(-1, 2**65) | anything,
    end_ns=st.integers(-1, 2**65) | anything,
    status=anything,
    outcome=anything,
    error_type=anything,
    attributes=anything,
    events=anything,
    links=anything
    | st.lists(st.builds(SpanLink, st.just(TraceContext()) | contexts, attributes)),
    dropped=anything,
)


@given(st.lists(wild, max_size=5))
def test_no_span_leaves_without_ids_or_with_an_end_before_its_start(records):
    payload = encode_spans(batch("traces", records))
    assert payload.records + payload.dropped.get("invalid", 0) == len(records)
    for span in traces_in(payload):
        assert any(span.trace_id)
        assert any(span.span_id)
        assert span.end_time_unix_nano >= span.start_time_unix_nano
        assert all(any(link.trace_id) and any(link.span_id) for link in span.links)


wild_logs = changed(
    logs,
    time_ns=st.integers(-1, 2**65) | anything,
    level=anything,
    event=anything,
    logger=anything,
    trace=st.integers(-1, 2**129) | anything,
    span=st.integers(-1, 2**65) | anything,
    fields=odd_attributes | anything,
)


@given(st.lists(logs | wild_logs | anything, max_size=5))
def test_no_log_raises_and_each_is_sent_or_counted(records):
    payload = encode_logs(batch("logs", records))
    assert payload.records + payload.dropped.get("invalid", 0) == len(records)
    for _, record in logs_in(payload):
        assert_clean(pairs(record.attributes))


numbers = st.integers(-(2**70), 2**70) | st.floats() | st.booleans()


@st.composite
def families(draw, values=numbers):
    label_names = tuple(draw(st.lists(names, max_size=3, unique=True)))
    rows = draw(
        st.lists(st.tuples(*[texts for _ in label_names]), max_size=6, unique=True)
    )
    kind = draw(st.sampled_from(["counter", "updown", "gauge", "info", "histogram"]))
    bounds = tuple(range(draw(st.integers(0, 4)))) if kind == "histogram" else ()
    column = [draw(values) for _ in rows]
    counts = [
        draw(
            st.lists(st.integers(-1, 9), min_size=len(bounds), max_size=len(bounds) + 1)
        )
        for _ in rows
    ]
    starts = {row: draw(times) for row in rows if draw(st.booleans())}
    block = Block(
        label_names,
        rows,
        column,
        counts if kind == "histogram" else (),
        draw(times),
        starts,
    )
    return MetricFamily(draw(texts), kind, draw(texts), draw(texts), [block], bounds)


def is_sendable(family, value, counts):
    if family.kind == "histogram":
        return len(counts) == len(family.bounds) + 1 and min(counts) >= 0
    return family.kind != "counter" or value >= 0


@given(st.lists(families(), max_size=4), st.sampled_from([300, 1_000, 100_000]))
def test_each_point_is_read_back_or_counted(given_families, max_bytes):
    payloads, _ = encode_metrics(given_families, max_bytes=max_bytes)
    assert all(len(payload.body) <= max_bytes for payload in payloads)
    read = []
    for metric in metrics_in(payloads):
        for point in points_of(metric):
            is_number = metric.WhichOneof("data") != "histogram"
            value = (
                getattr(point, point.WhichOneof("value")) if is_number else point.sum
            )
            counts = () if is_number else tuple(point.bucket_counts)
            labels = tuple(pairs(point.attributes))
            start = (
                0
                if metric.WhichOneof("data") == "gauge"
                else point.start_time_unix_nano
            )
            about = metric.name, metric.description, metric.unit
            read.append((about, labels, start, number_of(value), counts))
    expected = []
    lost = 0
    for family in given_families:
        (block,) = family.blocks
        for index, row in enumerate(block.rows):
            counts = block.counts[index] if block.counts else ()
            value = 1 if family.kind == "info" else block.values[index]
            if not is_sendable(family, value, counts):
                lost += 1
                continue
            labels = tuple(zip(block.label_names, row, strict=True))
            start = 0 if family.kind == "gauge" else block.start_of(row)
            about = family.name, family.help, family.unit
            expected.append((about, labels, start, number_of(value), tuple(counts)))
    dropped = [payload.dropped for payload in payloads]
    assert sum(each.get("invalid", 0) for each in dropped) == lost
    too_large = sum(each.get("limit", 0) for each in dropped)
    assert len(read) + too_large == len(expected)
    if not too_large:
        assert read == expected


def number_of(value):
    number = float(value)
    return "nan" if isnan(number) else number


@given(st.lists(families(numbers | anything), max_size=3))
def test_no_family_raises(given_families):
    rows = sum(len(block.rows) for each in given_families for block in each.blocks)
    payloads, kept = encode_metrics(given_families)
    again, _ = encode_metrics(given_families, before=kept)
    assert [payload.body for payload in payloads] == [payload.body for payload in again]
    sent = sum(payload.records for payload in payloads)
    assert sent + sum(sum(payload.dropped.values()) for payload in payloads) == rows
    metrics_in(payloads)
