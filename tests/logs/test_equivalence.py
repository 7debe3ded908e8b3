"""The fast way, the general way and a chain of structlog's processors say the same."""

import json
from contextlib import ExitStack

import pytest
import structlog

from obs import Obs
from obs.logs import Route
from obs.testing import FakeClock
from tests.logs.chain import SERVICE, Returned, Stacks, chain, peer_names
from tests.logs.conftest import Written, once
from tests.logs.random_records import Generator

LEVELS = ("trace", "debug", "info", "warning", "error", "critical")


class Both:
    """A logger of ours, and its peer in the chain, to which the same is done."""

    def __init__(self, ours, peer):
        self.ours, self.peer = ours, peer

    def changed(self, make):
        kind = make.random.randrange(5)
        many = len(self.ours.bound) > make.random.choice([5, 5, 40])
        if kind == 0 or many:
            fields = make.fields(4)
            ours, peer = self.ours.new(**fields), self.peer.new(**peer_names(fields))
        elif kind == 1 and self.ours.bound:
            name = make.random.choice(list(self.ours.bound))
            ours, peer = (
                self.ours.unbind(name),
                self.peer.unbind(*peer_names({name: 0})),
            )
        elif kind == 2:
            names = dict.fromkeys([make.name(), make.name()])
            ours = self.ours.try_unbind(*names)
            peer = self.peer.try_unbind(*peer_names(names))
        else:
            fields = make.fields(4)
            ours, peer = self.ours.bind(**fields), self.peer.bind(**peer_names(fields))
        return Both(ours, peer)


class Comparison:
    """Random records on all three ways.

    Attributes:
        fast: How many records took the fast way.
        total: How many there were.
    """

    def __init__(self, written, monkeypatch, seed):
        self.make = Generator(seed)
        self.clock = FakeClock()
        self.written = written
        route = Route(written.stream, format="json")
        self.tel = Obs(
            SERVICE, runtime=False, level="trace", routes=[route], clock=self.clock
        )
        self.logs = self.tel.logs
        self.logs.intake.open(9, lambda: None)
        self.stacks = Stacks(self.clock)
        self.general = self.total = 0
        guarded = self.logs._guarded

        def count(*call):
            self.general += 1
            guarded(*call)

        monkeypatch.setattr(self.logs, "_guarded", count)

    @property
    def fast(self):
        return self.total - (self.general - self.total)

    def both(self, name):
        peer = structlog.wrap_logger(
            Returned(name),
            processors=chain(self.stacks),
            wrapper_class=structlog.stdlib.BoundLogger,
            context_class=dict,
        )
        return Both(self.logs.logger(name), peer.bind())

    def run(self, records):
        make = self.make
        names = "shop", "db.pool", "größe", "web", "a\nb"
        loggers = [self.both(name) for name in names]
        while self.total < records:
            index = make.random.randrange(len(loggers))
            # What is bound to the last one is anything, to the others what is usual.
            make.is_odd = index == len(names) - 1
            if make.one_in(3):
                loggers[index] = loggers[index].changed(make)
            make.is_odd = make.is_odd or make.one_in(3)
            if make.one_in(50):
                loggers[index] = self.both(loggers[index].ours.name)
            with ExitStack() as stack:
                self.surround(stack)
                for _ in range(make.random.randrange(1, 5)):
                    self.record(loggers[index])
                    self.clock.advance(make.random.choice([0, 0.0003, 0.002, 1.5, 61]))
                while self.stacks.spans:
                    self.stacks.spans.pop()
            if make.one_in(20):
                self.clock.jump(make.random.choice([-3600, 5, 10**6]))

    def surround(self, stack):
        """Begin scopes and spans around what comes."""
        make = self.make
        for _ in range(make.random.choice([0, 0, 1, 2])):
            if make.one_in(2):
                self.stacks.spans.append(stack.enter_context(self.tel.span("s")))
            else:
                fields, more = make.fields(4), make.fields(3)
                for given in (fields, more):  # structlog has no order of these
                    given.pop("field.event", None)
                stack.enter_context(self.logs.fields(**fields))
                self.logs.bind(**more)
                names = peer_names({**fields, **more})
                stack.enter_context(structlog.contextvars.bound_contextvars(**names))

    def record(self, both):
        make = self.make
        level = make.random.choice(LEVELS)
        event, args = make.event()
        fields = make.fields()
        if len(both.ours.bound) + len(fields) > 100:  # a record has 128
            fields = {}
        if make.is_odd and make.one_in(8):
            fields["exc_info"] = make.exc_info()
        try:
            if make.one_in(2):
                raise make.error()  # so that exc_info=True finds one
            self.log(both, level, event, args, fields)
        except AssertionError:
            raise
        except Exception:
            self.log(both, level, event, args, fields)

    def log(self, both, level, event, args, fields):
        logger = both.ours
        getattr(logger, level)(event, *args, **fields)
        self.logs.log(logger.name, level, event, args, logger.bound, fields)
        fast, general, end = self.written.bytes().split(b"\n")
        call = both.peer._proxy_to_logger
        wanted = json.loads(call(level, event, *args, **peer_names(fields)))
        found = json.loads(fast, object_pairs_hook=once)
        # repr: 1, 1.0 and True are equal.
        pairs = {
            k: (repr(found.get(k, ...)), repr(wanted.get(k, ...)))
            for k in {**found, **wanted}
        }
        said = shown(level, event, args, logger.bound, fields)
        assert {k: it for k, it in pairs.items() if it[0] != it[1]} == {}, said
        assert fast == general, said
        assert end == b""
        one, two = [self.logs.read(it) for it in self.logs.intake.take(2)]
        assert repr(one) == repr(two), said  # what exporters get
        self.total += 1


def shown(*call):
    return repr(call)[:2_500]


def compare(tmp_path, monkeypatch, seed, records):
    written = Written(tmp_path / f"log{seed}")
    with written.stream:
        comparison = Comparison(written, monkeypatch, seed)
        comparison.run(records)
    return comparison


def test_ten_thousand_random_records(tmp_path, monkeypatch):
    found = compare(tmp_path, monkeypatch, 1, 10_000)
    assert found.fast / found.total > 0.4, f"{found.fast} fast"


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_hundred_thousand_random_records(tmp_path, monkeypatch, seed):
    found = compare(tmp_path, monkeypatch, seed, 10_000)
    assert found.fast / found.total > 0.4, f"{found.fast} fast"


def test_any_name_can_be_bound_too(logs, written):
    with logs.fields(self=1):
        logs.bind(fields=2)
        logs.logger("", self=3).bind(self=4).info("x")
        logs.logger().new(self=5).info("x")
    assert [(it["self"], it["fields"]) for it in written.lines()] == [(4, 2), (5, 2)]


def test_an_empty_name_is_shown_the_same_on_both_ways(logs, written):
    logs.logger().info("x", **{"": 1})
    logs.logger().info("x", **{"": 1}, exc_info=None)
    assert [it["<empty>"] for it in written.lines()] == [1, 1]


@pytest.mark.parametrize("value", ["x" * 1_000, "\xe9" * 300, [1] * 1_000, 7])
def test_a_record_is_cut_the_same_on_both_ways(logs, written, value):
    bound = {f"b{n}": value for n in range(30)}
    for count in (1, 10, 30, 60):
        own = {f"n{n}": value for n in range(count)}
        with logs.fields(**{f"s{n}": value for n in range(30)}):
            logs.logger("n").bind(**bound).info("x", **own)
            logs.log("n", "info", "x", (), bound, own)
        fast, general, _ = written.bytes().split(b"\n")
        assert fast == general
        assert len(fast) < 70_000
