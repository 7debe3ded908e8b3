"""Points of exponential histograms, which come as points."""

import pytest

from obs.model import ExponentialPoint, MetricFamily
from tests.exporters.otlp.oracle import (
    END,
    START,
    encode_metrics,
    metric_in,
    metrics_in,
    number,
    pairs,
)

POINT = ExponentialPoint(
    {"l": "a"}, 7, 3.5, -2, 1, -300, (1, 0, 5), min=0, max=9.5, start_ns=START
)


class Exponential(MetricFamily):
    """A family whose points are not those of its blocks."""

    __slots__ = ("given",)

    def __init__(self, *points):
        super().__init__("e", "exponential", "s", "Help.")
        self.given = list(points)

    @property
    def points(self):
        return self.given


def one(point):
    (found,) = metric_in(Exponential(point)).exponential_histogram.data_points
    return found


def test_each_field_is_read_back():
    found = one(POINT)
    assert pairs(found.attributes) == [("l", "a")]
    assert (found.count, found.sum, found.zero_count) == (7, 3.5, 1)
    assert (found.scale, found.positive.offset) == (-2, -300)
    assert list(found.positive.bucket_counts) == [1, 0, 5]
    assert (found.min, found.max) == (0, 9.5)
    assert (found.start_time_unix_nano, found.time_unix_nano) == (START, END)


def test_before_the_first_value_there_is_no_least_and_no_greatest():
    found = one(POINT._replace(count=0, buckets=(), min=None, max=None))
    assert not found.HasField("min")
    assert not found.HasField("max")
    assert list(found.positive.bucket_counts) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"count": -1},
        {"zero_count": 2**64},
        {"scale": 2**31},
        {"offset": -(2**31) - 1},
        {"buckets": (1, -1)},
        {"buckets": (2**64,)},
        {"sum": "x"},
        {"labels": 5},
        {"min": "x"},
    ],
    ids=str,
)
def test_a_point_that_is_none_is_left_out_and_the_others_leave(changed):
    payloads, _ = encode_metrics([Exponential(POINT, POINT._replace(**changed), POINT)])
    assert payloads[0].dropped == {"invalid": 1}
    (metric,) = metrics_in(payloads)
    assert len(metric.exponential_histogram.data_points) == 2


def test_a_point_of_another_kind_is_left_out():
    (point,) = number("c", "counter", 1).points
    payloads, _ = encode_metrics([Exponential(POINT, point)])
    assert payloads[0].dropped == {"invalid": 1}
