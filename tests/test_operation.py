"""Decorated calls: kind of callable, ending, and what is measured."""

import asyncio
import concurrent.futures
import contextlib
import enum
import functools
import gc
import inspect
import json
import pickle
import sys
import threading
import traceback
import types
import weakref

import pytest

from obs import DefinitionError, Obs
from obs.testing import FakeClock

KINDS = ("function", "coroutine", "generator", "async generator")
SECONDS = 2.5


class Failed(Exception):
    pass


class Cancelled(asyncio.CancelledError):
    pass


class HttpAnswer(Exception):
    def __init__(self, status):
        self.status_code = status


ENDINGS = {
    "return": (None, "ok", ""),
    "raise": (Failed, "error", "Failed"),
    "cancel": (asyncio.CancelledError, "cancelled", ""),
    "own cancel": (Cancelled, "cancelled", ""),
    "interrupt": (KeyboardInterrupt, "aborted", ""),
    "exit": (SystemExit, "aborted", ""),
    "not found": (functools.partial(HttpAnswer, 404), "ok", ""),
    "bad gateway": (functools.partial(HttpAnswer, 502), "error", "HttpAnswer"),
}


class Bench:
    """One decorated callable of each kind, with an instance under a fake clock."""

    def __init__(self):
        self.clock = FakeClock()
        self.tel = Obs("x", runtime=False, strict=True, clock=self.clock)
        self.running = []

    def work(self, error):
        self.clock.advance(SECONDS)
        self.running.append(self.value("operation.in_flight"))
        if error is not None:
            raise error()

    def value(self, name):
        return sum(p.value for p in self.tel.snapshot()[name].points)

    def make(self, kind, name="op"):
        decorate = self.tel.operation(name)
        if kind == "function":

            @decorate
            def call(error):
                self.work(error)
                return "result"

        elif kind == "coroutine":

            @decorate
            async def call(error):
                await asyncio.sleep(0)
                self.work(error)
                return "result"

        elif kind == "generator":

            @decorate
            def call(error):
                yield 1
                self.work(error)
                yield 2

        else:

            @decorate
            async def call(error):
                yield 1
                await asyncio.sleep(0)
                self.work(error)
                yield 2

        return call

    def run(self, kind, call, error):
        if kind == "function":
            return call(error)
        if kind == "coroutine":
            return drive(call(error))
        if kind == "generator":
            return list(call(error))

        async def consume():
            return [item async for item in call(error)]

        return drive(consume())

    def points(self):
        return [
            (p.labels["outcome"], p.labels["error_type"], p.count, p.sum)
            for p in self.tel.snapshot()["operation.duration"].points
        ]


def drive(coroutine):
    """Run a coroutine that only ever sleeps for 0 s, without an event loop's own rules."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration as stop:
        return stop.value


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["here", "thread pool", "task"])
def test_truth_table(kind, ending, place):
    error, outcome, error_type = ENDINGS[ending]
    bench = Bench()
    call = bench.make(kind)
    expected = [1, 2] if "generator" in kind else "result"

    @contextlib.contextmanager
    def ending():
        if error is None:
            yield
            return
        with pytest.raises(error if isinstance(error, type) else HttpAnswer) as caught:
            yield
        frames = [frame.filename for frame in traceback.extract_tb(caught.tb)]
        assert sum("/obs/" in name and "/tests/" not in name for name in frames) <= 1

    def attempt():
        with ending():
            assert bench.run(kind, call, error) == expected

    async def attempt_in_a_task():
        with ending():
            result = call(error)
            if kind == "coroutine":
                result = await result
            elif kind == "generator":
                result = list(result)
            elif kind == "async generator":
                result = [item async for item in result]
            assert result == expected

    if place == "here":
        attempt()
    elif place == "thread pool":
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(attempt).result()
    else:

        async def main():
            await asyncio.create_task(attempt_in_a_task())

        asyncio.run(main())
    assert bench.points() == [(outcome, error_type, 1, SECONDS)]
    assert bench.running == [1]
    assert bench.value("operation.in_flight") == 0


@pytest.mark.parametrize("how", ["close", "drop", "throw", "throw GeneratorExit"])
def test_a_generator_that_is_ended_early(how):
    bench = Bench()
    generator = bench.make("generator")(None)
    assert next(generator) == 1
    bench.clock.advance(1)
    if how == "close":
        generator.close()
    elif how == "drop":
        del generator
        gc.collect()
    elif how == "throw":
        with pytest.raises(Failed):
            generator.throw(Failed())
    else:
        with pytest.raises(GeneratorExit):
            generator.throw(GeneratorExit())
    outcome = ("error", "Failed") if how == "throw" else ("ok", "")
    assert bench.points() == [(*outcome, 1, 1.0)]
    assert bench.value("operation.in_flight") == 0


@pytest.mark.parametrize(
    "how", ["aclose", "break", "drop", "throw", "other task", "shutdown"]
)
def test_an_async_generator_that_is_ended_early(how, caplog):
    bench = Bench()
    call = bench.make("async generator")
    seen = []

    async def close(generator):
        await generator.aclose()

    async def main():
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: seen.append(context)
        )
        generator = call(None)
        assert await anext(generator) == 1
        bench.clock.advance(1)
        if how == "aclose":
            await generator.aclose()
        elif how == "break":
            async for _ in generator:
                break
            await generator.aclose()
        elif how == "drop":
            del generator
            gc.collect()
            await asyncio.sleep(0.01)
        elif how == "throw":
            with pytest.raises(Failed):
                await generator.athrow(Failed())
        elif how == "other task":
            await asyncio.create_task(close(generator))
        else:
            keep.append(generator)

    keep = []
    asyncio.run(main())
    assert seen == []
    assert caplog.records == []
    outcome = ("error", "Failed") if how == "throw" else ("ok", "")
    seconds = 1 + SECONDS if how == "break" else 1  # it breaks at the second item
    assert bench.points() == [(*outcome, 1, seconds)]
    assert bench.value("operation.in_flight") == 0


def test_a_loop_that_shuts_down_closes_each_async_generator_once(caplog):
    bench = Bench()
    closed, seen, keep = [], [], []

    @bench.tel.operation()
    async def ticks():
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0.01)
            closed.append(1)

    async def main():
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: seen.append(context)
        )
        for _ in range(100):
            generator = ticks()
            await anext(generator)
            keep.append(generator)

    asyncio.run(main())
    assert (len(closed), seen, caplog.records) == (100, [], [])
    assert [p[:3] for p in bench.points()] == [("ok", "", 100)]


@pytest.mark.parametrize("kind", ["coroutine", "async generator"])
def test_a_cancelled_task_is_cancelled_and_not_an_error(kind):
    bench = Bench()

    if kind == "coroutine":

        @bench.tel.operation()
        async def wait():
            await asyncio.sleep(60)

    else:

        @bench.tel.operation()
        async def slow():
            await asyncio.sleep(60)
            yield 1

        async def wait():
            async for _ in slow():
                pass

    async def main():
        task = asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        assert bench.value("operation.in_flight") == 1
        bench.clock.advance(SECONDS)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert bench.points() == [("cancelled", "", 1, SECONDS)]
    assert bench.value("operation.in_flight") == 0


def test_a_coroutine_that_is_never_awaited_is_not_a_call():
    bench = Bench()
    coroutine = bench.make("coroutine")(None)
    coroutine.close()
    bench.make("generator", "gen")(None)
    assert bench.points() == []
    assert bench.value("operation.in_flight") == 0


def test_send_throw_and_return_reach_a_generator():
    tel = Obs("x", runtime=False, strict=True)

    @tel.operation()
    def echo():
        got = []
        while len(got) < 3:
            try:
                got.append((yield len(got)))
            except Failed:
                got.append("failed")
        return got

    generator = echo()
    assert next(generator) == 0
    assert generator.send("a") == 1
    assert generator.throw(Failed()) == 2
    with pytest.raises(StopIteration) as stop:
        generator.send("c")
    assert stop.value.value == ["a", "failed", "c"]


def test_asend_and_athrow_reach_an_async_generator():
    tel = Obs("x", runtime=False, strict=True)

    @tel.operation()
    async def echo():
        got = []
        while len(got) < 3:
            try:
                got.append((yield list(got)))
            except Failed:
                got.append("failed")

    async def main():
        generator = echo()
        assert await generator.asend(None) == []
        assert await generator.asend("a") == ["a"]
        assert await generator.athrow(Failed()) == ["a", "failed"]
        with pytest.raises(StopAsyncIteration):
            await generator.asend("c")

    asyncio.run(main())


def test_an_async_generator_that_ignores_its_close_fails_as_it_would_alone():
    tel = Obs("x", runtime=False, strict=True)

    @tel.operation()
    async def stubborn():
        try:
            yield 1
        except GeneratorExit:
            yield 2

    async def main():
        generator = stubborn()
        await anext(generator)
        with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
            await generator.aclose()

    asyncio.run(main())


class Service:
    """Methods of all sorts."""

    tel = Obs("x", runtime=False, strict=True)

    @tel.operation()
    def method(self, a):
        return self, a

    @classmethod
    @tel.operation()
    def inside(cls, a):
        return cls, a

    @tel.operation()
    @classmethod
    def outside(cls, a):
        return cls, a

    @staticmethod
    @tel.operation()
    def static_inside(a):
        return a

    @tel.operation(labels=("a",))
    @staticmethod
    def static_outside(a):
        return a

    @tel.operation()
    async def amethod(self):
        return self


def test_methods_classmethods_and_staticmethods():
    service = Service()
    assert service.method(1) == (service, 1)
    assert Service.inside(2) == service.inside(2) == (Service, 2)
    assert Service.outside(3) == service.outside(3) == (Service, 3)
    assert Service.static_inside(4) == service.static_inside(4) == 4
    assert Service.static_outside("5") == service.static_outside("5") == "5"
    assert drive(service.amethod()) is service
    counts = {
        p.labels["operation"]: p.count
        for p in Service.tel.snapshot()["operation.duration"].points
    }
    assert counts == {
        "Service.method": 1,
        "Service.inside": 2,
        "Service.outside": 2,
        "Service.static_inside": 2,
        "Service.static_outside": 2,
        "Service.amethod": 1,
    }


_tel = Obs("x", runtime=False, strict=True)


@_tel.operation()
def documented(a: int, /, b: str = "b", *args: int, c: float, **kwargs: str) -> bool:
    """Do it."""
    return bool((a, b, args, c, kwargs))


def test_signature_name_docstring_and_picklability_are_kept():
    plain = documented.__wrapped__
    assert inspect.signature(documented) == inspect.signature(plain)
    assert documented.__doc__ == "Do it."
    assert documented.__name__ == documented.__qualname__ == "documented"
    assert documented.__module__ == __name__
    assert documented.__annotations__ == plain.__annotations__
    sys.modules.setdefault(
        __name__, sys.modules.get(__name__) or inspect.getmodule(plain)
    )
    assert pickle.loads(pickle.dumps(documented)) is documented


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_is_kept(kind):
    call = Bench().make(kind)
    assert inspect.iscoroutinefunction(call) == (kind == "coroutine")
    assert inspect.isgeneratorfunction(call) == (kind == "generator")
    assert inspect.isasyncgenfunction(call) == (kind == "async generator")


def test_callable_objects_and_partials():
    bench = Bench()

    class Task:
        async def __call__(self, error):
            await asyncio.sleep(0)
            bench.work(error)
            return "result"

    decorated = bench.tel.operation("task")(Task())
    assert drive(decorated(None)) == "result"
    partial = bench.tel.operation("partial")(functools.partial(bench.work, None))
    partial()
    assert [(p[0], p[3]) for p in bench.points()] == [("ok", SECONDS), ("ok", SECONDS)]


def test_labels_of_a_bound_method_come_from_its_own_arguments():
    bench = Bench()

    class Service:
        def call(self, channel):
            return channel

    decorated = bench.tel.operation("op", labels=("channel",))(Service().call)
    assert decorated("web") == "web"
    (point,) = bench.tel.snapshot()["operation.duration"].points
    assert point.labels["channel"] == "web"


def test_labels_are_found_through_other_decorators():
    tel = Obs("x", runtime=False)

    @tel.operation("op", labels=("channel",))
    @tel.histogram("h").time()
    @functools.lru_cache
    def place(order, channel="web"):
        return order, channel

    place(1, "app")
    place(2)
    points = tel.snapshot()["operation.duration"].points
    assert [p.labels["channel"] for p in points] == ["app", "web"]


def test_a_generator_based_coroutine_is_awaited():
    bench = Bench()

    @bench.tel.operation("op")
    @types.coroutine
    def old():
        yield
        return "result"

    async def main():
        return await old()

    assert drive(main()) == "result"
    assert [p[:3] for p in bench.points()] == [("ok", "", 1)]


def test_hostile_exceptions_reach_the_caller_unchanged():
    class Odd:
        def __eq__(self, other):
            raise RuntimeError

        __hash__ = None

    class Meta(type):
        @property
        def __name__(cls):
            raise RuntimeError

    class Hostile(Exception, metaclass=Meta):
        status_code = property(lambda self: 1 / 0)

    tel = Obs("x", runtime=False, classify=lambda error: Odd())

    @tel.operation("op")
    def fail():
        raise Hostile

    with pytest.raises(Hostile):
        fail()
    (point,) = tel.snapshot()["operation.duration"].points
    assert point.labels["error_type"] == "Hostile"


def test_default_names_leave_out_locals():
    tel = Obs("x", runtime=False)

    @tel.operation()
    def inner():
        pass

    inner()
    (point,) = tel.snapshot()["operation.duration"].points
    assert point.labels["operation"] == "test_default_names_leave_out_locals.inner"


class Channel(enum.Enum):
    WEB = "web"


@pytest.mark.parametrize(
    ("args", "kwargs", "labels"),
    [
        (("web",), {}, ("web", "eur", "")),
        (("web", "usd"), {}, ("web", "usd", "")),
        (
            (),
            {"channel": "web", "currency": "usd", "vip": True},
            ("web", "usd", "True"),
        ),
        ((Channel.WEB, 7), {"vip": None}, ("web", "7", "")),
        ((1.5, object()), {"vip": b"x"}, ("other", "other", "other")),
    ],
)
def test_labels_come_from_the_arguments(args, kwargs, labels, capfd):
    tel = Obs("x", runtime=False)

    @tel.operation(labels=("channel", "currency", "vip"))
    def pay(channel, currency="eur", *, vip=None):
        pass

    pay(*args, **kwargs)
    (point,) = tel.snapshot()["operation.duration"].points
    assert tuple(point.labels[n] for n in ("channel", "currency", "vip")) == labels
    others = labels.count("other")
    assert tel.metrics.diag.dropped_counts()["metrics", "", "invalid"] == others
    assert len(capfd.readouterr().err.splitlines()) == min(1, others)


def test_a_wrong_call_raises_what_it_would_alone():
    tel = Obs("x", runtime=False, strict=True)

    @tel.operation(labels=("channel",))
    def pay(channel):
        pass

    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        pay()
    (point,) = tel.snapshot()["operation.duration"].points
    assert (point.labels["error_type"], point.labels["channel"]) == ("TypeError", "")


def test_two_functions_of_one_name_share_their_series():
    tel = Obs("x", runtime=False, strict=True)
    for _ in range(2):
        tel.operation("same")(lambda: None)()
    tel.operation("same", labels=("a",))(lambda a: None)("x")
    points = tel.snapshot()["operation.duration"].points
    assert [(p.labels.get("a"), p.count) for p in points] == [(None, 2), ("x", 1)]


def test_own_rules_come_before_those_of_the_instance():
    tel = Obs(
        "x", runtime=False, classify=lambda e: "ok" if isinstance(e, KeyError) else None
    )

    @tel.operation(
        classify=lambda e: "cancelled" if isinstance(e, TimeoutError) else None
    )
    def fail(error):
        raise error

    for error in (KeyError(), TimeoutError(), ValueError(), HttpAnswer(404)):
        with pytest.raises(type(error)):
            fail(error)
    outcomes = [
        p.labels["outcome"] for p in tel.snapshot()["operation.duration"].points
    ]
    assert outcomes == ["ok", "cancelled", "error"]


@pytest.mark.parametrize("rule", [lambda e: "fine", lambda e: 1 / 0, lambda e: 7])
def test_a_rule_that_fails_is_ignored_and_counted(rule, capfd):
    tel = Obs("x", runtime=False, level="off")

    @tel.operation("op", classify=rule)
    def fail():
        raise Failed

    for _ in range(2):
        with pytest.raises(Failed):
            fail()
    (point,) = tel.snapshot()["operation.duration"].points
    assert (point.labels["outcome"], point.count) == ("error", 2)
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["event"].startswith("operation 'op': classify() gave ")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (100, "ok"),
        (499, "ok"),
        (500, "error"),
        (99, "error"),
        (True, "error"),
        ("404", "error"),
    ],
)
@pytest.mark.parametrize("attribute", ["status_code", "status", "code"])
def test_an_exception_with_a_http_status_below_500_is_ok(attribute, status, outcome):
    tel = Obs("x", runtime=False)

    @tel.operation()
    def fail():
        error = Failed()
        setattr(error, attribute, status)
        raise error

    with pytest.raises(Failed):
        fail()
    (point,) = tel.snapshot()["operation.duration"].points
    assert point.labels["outcome"] == outcome


def test_nothing_refers_to_the_exception_afterwards():
    tel = Obs("x", runtime=False)

    class Traced(Exception):
        pass

    @tel.operation()
    def fail():
        raise Traced

    @tel.operation()
    async def agen():
        yield 1

    async def throw():
        generator = agen()
        await anext(generator)
        await generator.athrow(Traced())

    gc.collect()
    gc.disable()
    try:
        for attempt in (fail, lambda: drive(throw())):
            try:
                attempt()
            except Traced as error:
                dead = weakref.ref(error)
            assert dead() is None
    finally:
        gc.enable()


def test_calls_at_the_same_time_are_all_in_flight():
    tel = Obs("x", runtime=False, strict=True)
    barrier = threading.Barrier(5)
    release = threading.Event()

    @tel.operation("op")
    def wait():
        barrier.wait()
        release.wait()

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    barrier.wait()
    (point,) = tel.snapshot()["operation.in_flight"].points
    assert point.value == 4
    release.set()
    for thread in threads:
        thread.join()
    (point,) = tel.snapshot()["operation.in_flight"].points
    assert point.value == 0


@pytest.mark.parametrize(
    ("define", "text"),
    [
        (
            lambda tel: tel.operation(labels=("b",))(lambda a, *c, **d: None),
            "operation '<lambda>.<lambda>': label 'b' is no parameter of it; it has (a).",
        ),
        (
            lambda tel: tel.operation("op", labels=("c",))(lambda a, *c, **d: None),
            "operation 'op': label 'c' is no parameter of it; it has (a).",
        ),
        (
            lambda tel: tel.operation("op", labels=("outcome",))(lambda outcome: None),
            "operation 'op': label 'outcome' is one of its own (operation, outcome, "
            "error_type). Rename the parameter.",
        ),
        (
            lambda tel: tel.operation("op", labels="a")(lambda a: None),
            "operation 'op': labels got the text 'a', needs a list of names. Write "
            "labels=('a',).",
        ),
        (
            lambda tel: tel.operation("op", record="a")(lambda a: None),
            "operation 'op': record got the text 'a', needs a list of names. Write "
            "record=('a',).",
        ),
        (
            lambda tel: tel.operation("op", record=5)(lambda a: None),
            "operation 'op': record got 5, needs a list of names.",
        ),
        (
            lambda tel: tel.operation("op", record=None)(lambda a: None),
            "operation 'op': record got None, needs a list of names.",
        ),
        (
            lambda tel: tel.operation("op", record=([1],))(lambda a: None),
            "operation 'op': record [1] is no parameter of it; it has (a).",
        ),
        (
            lambda tel: tel.operation("op", labels=("a", "a"))(lambda a: None),
            "operation 'op': label 'a' is there twice. Remove one.",
        ),
        (
            lambda tel: tel.operation("op", labels=("le",))(lambda le: None),
            "operation 'op': label 'le' is reserved. Take another name.",
        ),
        (
            lambda tel: tel.operation("op", labels=([1],))(lambda a: None),
            "operation 'op': label [1]: needs a name of type str.",
        ),
        (
            lambda tel: tel.endpoint("op", labels="a")(lambda a: None),
            "endpoint 'op': labels got the text 'a', needs a list of names. Write "
            "labels=('a',).",
        ),
        (
            lambda tel: tel.endpoint("op", labels=("b",))(lambda a: None),
            "endpoint 'op': label 'b' is no parameter of it; it has (a).",
        ),
        (
            lambda tel: tel.endpoint(len),
            "endpoint: the name got <built-in function len>, needs text. Write the "
            "decorator with parentheses: @tel.endpoint().",
        ),
        (
            lambda tel: tel.endpoint()(functools.partial(print)),
            "endpoint: functools.partial(<built-in function print>) has no name. Give one: "
            "endpoint('x').",
        ),
        (
            lambda tel: tel.operation(len),
            "operation: the name got <built-in function len>, needs text. Write "
            "the decorator with parentheses: @tel.operation().",
        ),
        (
            lambda tel: tel.operation("op", classify="ok"),
            "classify got 'ok', needs a function that takes an exception.",
        ),
        (
            lambda tel: tel.operation()(functools.partial(print)),
            "operation: functools.partial(<built-in function print>) has no name. Give one: "
            "operation('x').",
        ),
        (
            lambda tel: tel.operation("op")(3),
            "decorator: got 3, needs a function or method. Decorate the methods of a class "
            "one by one.",
        ),
        (
            lambda tel: tel.operation("op")(dict),
            "decorator: got <class 'dict'>, needs a function or method. Decorate the "
            "methods of a class one by one.",
        ),
    ],
)
def test_a_bad_decoration_says_why(define, text):
    with pytest.raises(DefinitionError) as error:
        define(Obs("x", runtime=False))
    assert str(error.value) == text
