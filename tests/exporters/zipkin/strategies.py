"""Any span at all."""

from hypothesis import strategies as st

from obs.model import Resource, SpanEvent, SpanLink, SpanRecord, TraceContext

texts = st.text(st.characters(), max_size=8) | st.sampled_from(
    ["", "\u2028é", "\ud800", "error", "server.address", "network.peer.address", "::1"]
)
plain = (
    texts
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.binary(max_size=4)
)
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
)
attributes = st.dictionaries(texts | st.integers(), values, max_size=4)
times = st.integers(-(1 << 70), 1 << 70)
ids = st.integers(-1, (1 << 64) + 1)
contexts = st.builds(
    TraceContext,
    st.integers(-1, (1 << 128) + 1),
    ids,
    sampled=st.just(True),
    tracestate=texts,
    debug=st.booleans(),
)
records = st.builds(
    SpanRecord,
    name=texts,
    context=contexts,
    parent=ids,
    kind=st.sampled_from(
        ["internal", "server", "client", "producer", "consumer", "else"]
    ),
    start_ns=times,
    end_ns=times,
    status=st.sampled_from(["unset", "ok", "error", "else"]),
    status_message=texts,
    error_type=texts,
    attributes=attributes,
    events=st.lists(st.builds(SpanEvent, texts, times, attributes), max_size=3),
    links=st.lists(st.builds(SpanLink, contexts, attributes), max_size=3),
    remote_parent=st.booleans(),
    dropped=st.dictionaries(
        st.sampled_from(["attributes", "events", "links"]), st.integers(0, 1 << 70)
    ),
)
resources = st.builds(
    Resource, st.dictionaries(texts | st.just("service.name"), texts, max_size=3)
)
