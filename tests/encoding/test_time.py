"""Times as RFC 3339."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.encoding import rfc3339
from tests.encoding.hostile import values


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (1_500_000_000_123_456_789, "2017-07-14T02:40:00.123456789Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (10**30, str(10**30)),
        (1 << 5_000, ""),
        (1.5, ""),
        (None, ""),
    ],
    ids=count(),
)
def test_golden_times(time_ns, text):
    assert rfc3339(time_ns) == text


def test_digits_are_cut_not_rounded():
    assert rfc3339(999_999_999, 3) == "1970-01-01T00:00:00.999Z"


@given(st.integers(-(10**9), 4 * 10**9), st.integers(0, 10**9 - 1))
def test_python_reads_the_same_time(seconds, ns):
    read = datetime.fromisoformat(rfc3339(seconds * 10**9 + ns, 6))
    passed = timedelta(seconds=seconds, microseconds=ns // 1000)
    assert read == datetime(1970, 1, 1, tzinfo=UTC) + passed


@given(st.integers() | values)
def test_anything_gives_a_text(time_ns):
    assert type(rfc3339(time_ns, 3)) is str
