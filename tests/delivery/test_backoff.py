"""When to try again."""

from random import Random

from obs.delivery._backoff import FIRST, HOLD, MOST, Backoff


class Highest(Random):
    def uniform(self, low, high):
        return high


class Lowest(Random):
    def uniform(self, low, high):
        return low


def waits(random, failures, **more):
    backoff = Backoff(random)
    found = []
    for _ in range(failures):
        backoff.failed(100.0, more.get("retry_after"))
        found.append(backoff.ready_at - 100.0)
    return found


def test_the_bound_doubles_to_its_limit():
    assert waits(Highest(), 6) == [FIRST, 2.0, 4.0, 8.0, MOST, MOST]


def test_the_jitter_is_full():
    assert waits(Lowest(), 3) == [0.0, 0.0, 0.0]
    assert 0.0 < waits(Random(1), 1)[0] < FIRST


def test_a_backend_that_asks_is_left_alone_at_least_so_long():
    assert waits(Lowest(), 1, retry_after=30.0) == [30.0]
    assert waits(Highest(), 1, retry_after=30.0) == [31.0]
    assert waits(Lowest(), 1, retry_after=10**9) == [HOLD]
    assert waits(Lowest(), 1, retry_after=-5.0) == [0.0]


def test_haste_ends_our_own_wait_and_not_the_backend_s():
    backoff = Backoff(Highest())
    backoff.failed(100.0, None)
    backoff.hurry()
    assert backoff.ready_at == 0.0
    backoff.failed(100.0, 30.0)
    backoff.hurry()
    assert backoff.ready_at == 130.0


def test_success_ends_all_waits():
    backoff = Backoff(Highest())
    backoff.failed(100.0, 30.0)
    backoff.succeeded()
    assert backoff.ready_at == 0.0
    backoff.failed(200.0, None)
    assert backoff.ready_at == 200.0 + FIRST
