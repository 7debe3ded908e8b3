"""Telemetry that does nothing."""

from obs import NULL


def test_a_library_runs_without_telemetry():
    counter = NULL.counter("c", "Help.", unit="s", labels=("a",))
    counter.inc()
    counter.labels("x").inc(-1)
    counter.labels(a="x").remove()
    counter.clear()
    gauge = NULL.gauge("g", combine="max")
    gauge.set(1)
    gauge.inc()
    gauge.dec()
    gauge.set_function(lambda: 1)
    histogram = NULL.histogram("h", buckets=(1,))
    histogram.observe(1)
    with gauge.track_in_progress(), histogram.time():
        pass

    def function(a):
        return a

    assert NULL.operation("op", labels=("a",))(function) is function
    assert NULL.endpoint()(function) is function
    assert histogram.time()(function) is function
