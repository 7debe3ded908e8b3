"""Fields of a piece of work, seen in all that belongs to it."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from obs.logs import Logs, Route


def fields(written):
    names = {"time", "level", "event", "logger", "service"}
    return [{k: v for k, v in it.items() if k not in names} for it in written.lines()]


def test_records_in_the_block_have_the_fields(logs, log, written):
    with logs.fields(request=1):
        log.info("x")
        log.info("x", a=2)
        log.info("x", a=[3])
    log.info("x")
    assert fields(written) == [
        {"request": 1}, {"request": 1, "a": 2}, {"request": 1, "a": [3]}, {},
    ]  # fmt: skip


def test_blocks_in_blocks_add_up(logs, log, written):
    with logs.fields(a=1, b=1):
        with logs.fields(b=2, c=2):
            log.info("x")
        log.info("x")
    assert fields(written) == [{"a": 1, "b": 2, "c": 2}, {"a": 1, "b": 1}]


def test_what_is_bound_and_what_is_given_count_more(logs, log, written):
    with logs.fields(a=1, b=1, c=1):
        log.bind(b=2, c=2).info("x", c=3)
        log.bind(b=2).info("x")
    assert fields(written) == [{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 1}]


def test_bind_adds_to_the_innermost_block(logs, log, written):
    with logs.fields(a=1), logs.fields(b=2) as inner:
        logs.bind(c=3)
        inner.bind(d=4)
        inner.unbind("b", "nothing")
        log.info("x")
    log.info("x")
    assert fields(written) == [{"a": 1, "c": 3, "d": 4}, {}]


def test_bind_outside_of_a_block_does_nothing(logs, log, written):
    logs.bind(a=1)
    log.info("x")
    assert fields(written) == [{}]


def test_what_a_worker_thread_binds_is_seen_afterwards(logs, log, written):
    with logs.fields(a=1):
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: context.run(logs.bind, user="u"))
        thread.start()
        thread.join()
        log.info("x")
    assert fields(written) == [{"a": 1, "user": "u"}]


def test_what_a_synchronous_dependency_binds_is_seen_by_the_endpoint(
    logs, log, written
):
    async def request():
        with logs.fields(request="r"):
            await asyncio.to_thread(logs.bind, user="u")
            await asyncio.create_task(bind_in_a_task())
            log.info("x")

    async def bind_in_a_task():
        logs.bind(task="t")

    asyncio.run(request())
    assert fields(written) == [{"request": "r", "user": "u", "task": "t"}]


def test_requests_side_by_side_do_not_mix(logs, log, written):
    async def request(n):
        with logs.fields(request=n):
            await asyncio.sleep(0)
            logs.bind(user=n)
            await asyncio.sleep(0)
            log.info("x")

    async def all_of_them():
        await asyncio.gather(*[request(n) for n in range(50)])

    asyncio.run(all_of_them())
    assert all(it["request"] == it["user"] for it in fields(written))


def test_a_thread_without_the_context_is_not_in_the_block(logs, log, written):
    with logs.fields(a=1), ThreadPoolExecutor(1) as pool:
        pool.submit(log.info, "x").result()
    assert fields(written) == [{}]


def test_a_task_that_outlives_the_block_keeps_its_fields(logs, log, written):
    async def late(go):
        await go.wait()
        log.info("late")

    async def main():
        go = asyncio.Event()
        with logs.fields(a=1):
            task = asyncio.create_task(late(go))
            await asyncio.sleep(0)
        log.info("x")
        go.set()
        await task

    asyncio.run(main())
    assert fields(written) == [{}, {"a": 1}]


def test_two_instances_have_each_its_own(logs, log, written, tmp_path):
    other = Logs(routes=[Route(tmp_path / "other", format="json")])
    with logs.fields(a=1), other.fields(b=2):
        log.info("x")
        other.logger().info("x")
        logs.bind(c=3)
        log.info("x", d=4)
    assert fields(written) == [{"a": 1}, {"a": 1, "c": 3, "d": 4}]
    assert b'"b":2' in (tmp_path / "other").read_bytes()


def test_a_block_may_be_begun_again(logs, log, written):
    block = logs.fields(a=1)
    with block, block:
        log.info("x")
    with block:
        log.info("x")
    log.info("x")
    assert fields(written) == [{"a": 1}, {"a": 1}, {}]


def test_blocks_that_end_in_another_order_leave_nothing_of_their_own_behind(
    logs, log, written
):
    one, two = logs.fields(a=1), logs.fields(b=2)
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    log.info("x")
    two.__exit__(None, None, None)
    assert fields(written) == [{"a": 1, "b": 2}]


@pytest.mark.parametrize("name", ["time", "level", "exc_info", "event"])
def test_fields_of_any_name(logs, log, written, name):
    with logs.fields(**{name: 5}):
        log.info("x")
        log.info("x", a=1)
    assert b"5" in written.bytes() or name == "exc_info"


def test_secrets_in_them_are_masked(logs, log, written):
    with logs.fields(password="hunter2"):
        log.info("x")
        log.info("x", a=[1])
    assert [it["password"] for it in fields(written)] == ["[redacted]"] * 2


def test_hostile_values_reach_nobody(logs, log, written):
    class Bad:
        def __repr__(self):
            raise SystemExit

    with logs.fields(bad=Bad()):
        log.info("x")
    assert fields(written) == [{"bad": "<Bad>"}]


def test_binds_of_several_threads_at_once_are_all_there(logs):
    with logs.fields() as scope:
        threads = [
            threading.Thread(
                target=lambda n=n: [scope.bind(**{f"{n}.{i}": i}) for i in range(200)]
            )
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(scope.fields()) == 800


def test_what_is_bound_around_is_seen_inside(logs, log, written):
    with logs.fields(a=1) as outer, logs.fields(b=1), logs.fields(c=1):
        outer.bind(a=2, c=2)
        log.info("x")
        log.info("x", d=[1])
    assert fields(written) == [
        {"a": 2, "c": 1, "b": 1}, {"a": 2, "c": 1, "b": 1, "d": [1]},
    ]  # fmt: skip


def test_a_bound_container_is_shown_as_it_is_when_it_is_logged(logs, log, written):
    cart = [1]
    bound = log.bind(cart=cart)
    bound.info("x")
    cart.append(2)
    bound.info("x", a=1)
    with logs.fields(cart=cart):
        log.info("x")
        cart.append(3)
        log.info("x", a=1)
    assert [it["cart"] for it in fields(written)] == [[1], [1, 2], [1, 2], [1, 2, 3]]


def test_blocks_that_end_elsewhere_are_not_kept(logs, log, written):
    """As generators may have it that others close: each leaves its block current."""

    def begin_and_end_elsewhere(n):
        block = logs.fields(n=n)
        block.__enter__()
        contextvars.Context().run(block.__exit__, None, None, None)
        return block

    for n in range(1_000):
        last = begin_and_end_elsewhere(n)
    log.info("x")
    assert fields(written) == [{"n": 999}]
    assert last.up is None
    assert last.around is None
