"""Bodies in datagrams. How they get to servers is tried with each exporter."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from obs_exporters._transport import datagrams


@given(
    st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\n", b""))),
    st.integers(41, 100),
)
def test_datagrams_are_packed_and_divide_no_line(texts, limit):
    body = b"".join(text + b"\n" for text in texts)
    found = list(datagrams(body, limit))
    assert b"".join(found) == body
    assert all(each.endswith(b"\n") and len(each) <= limit for each in found)
    for one, next_one in pairwise(found):  # as few as can be
        assert len(one) + next_one.index(b"\n") + 1 > limit
