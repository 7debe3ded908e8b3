"""Whatever a record holds, Zipkin takes it."""

from hypothesis import given
from hypothesis import strategies as st

from obs.model import Scope
from obs_exporters.zipkin._spans import encode_spans
from tests.exporters.zipkin.records import batch, read_back
from tests.exporters.zipkin.strategies import records, resources, texts


@given(
    st.lists(records, max_size=5),
    resources,
    st.builds(Scope, texts, texts),
    st.integers(1, 3_000),
)
def test_no_list_is_refused_and_every_record_is_accounted_for(
    some, resource, scope, max_bytes
):
    given = batch(*some, resource=resource, scope=scope)
    payloads = list(encode_spans(given, max_bytes))
    found = []
    for payload in payloads:
        spans = read_back(payload.body)
        assert len(spans) == payload.records
        assert len(payload.body) <= max_bytes or payload.records <= 1
        found += [span["id"] for span in spans]
    left_out = sum(payload.dropped.get("invalid", 0) for payload in payloads)
    assert len(found) + left_out == len(some)
    has_ids = [
        record
        for record in some
        if 0 < record.context.trace < 1 << 128 and 0 < record.context.span < 1 << 64
    ]
    assert found == [record.span_id for record in has_ids]
