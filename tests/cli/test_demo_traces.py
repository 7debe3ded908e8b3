"""``obs demo``: its requests as traces, and the slowest of them."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from types import SimpleNamespace

import pytest

from obs._obs import Obs
from obs.cli import main
from obs.cli.demo import _http, _orders, _run, _shop, _traffic
from obs.cli.demo._chance import Chance
from obs.cli.demo._http import Answer, HttpService, NotFound, Request
from obs.cli.demo._logs import SHOWN
from obs.cli.demo._orders import Order, Orders, Packing
from obs.cli.demo._serve import serve
from obs.cli.demo._shop import Shop
from obs.cli.demo._slowest import MAX_OPEN, SlowestTrace
from obs.logs._levels import OFF
from obs.model import SpanRecord
from obs.testing import FakeClock, MemoryExporter

CHECKOUT = {"channel": "web", "method": "card", "cents": 1_000}
# What happens to these numbers with Chance(1):
DECLINED, AWAY, CANCELLED = 40, 46, 47

ROOT = ("shop", "POST /checkout", "server")
CHARGE = ("shop", "Shop.charge", "internal")
SEND = ("shop", "Shop.send_order", "internal")
CALL = ("shop", "POST /orders", "client")
ACCEPT = ("orders", "POST /orders", "server")
RESERVE = ("orders", "Orders.reserve", "internal")
QUEUED = ("orders", "send packing", "producer")
PACK = ("orders", "Packing.pack", "consumer")

BOUGHT = {
    ROOT: None, CHARGE: ROOT, SEND: ROOT, CALL: SEND,
    ACCEPT: CALL, RESERVE: ACCEPT, QUEUED: ACCEPT, PACK: QUEUED,
}  # fmt: skip
"""Each span of a checkout, and its parent."""
NOT_PAID = {ROOT: None, CHARGE: ROOT}
BROWSED = {("shop", "GET /products/{category}/{product}", "server"): None}


class Spans:
    """The finished spans of both services."""

    def __init__(self) -> None:
        self.memories = {service: MemoryExporter() for service in _run.SERVICES}

    def traces(self) -> list[dict[tuple[str, str, str], SpanRecord]]:
        """Give each trace: its spans by service, name and kind."""
        found: dict[str, dict[tuple[str, str, str], SpanRecord]] = {}
        for service, memory in self.memories.items():
            for span in memory.spans:
                trace = found.setdefault(span.trace_id, {})
                assert (service, span.name, span.kind) not in trace
                trace[service, span.name, span.kind] = span
        return list(found.values())

    def only_trace(self) -> dict[tuple[str, str, str], SpanRecord]:
        (trace,) = self.traces()
        return trace


def shape(trace):
    """Give the parent of each span of a trace, by service, name and kind."""
    by_id = {span.span_id: key for key, span in trace.items()}
    assert len(by_id) == len(trace)
    return {
        key: by_id[span.parent_id] if span.parent else None
        for key, span in trace.items()
    }


def status_of(span: SpanRecord) -> object:
    return span.attributes["http.response.status_code"]


@pytest.fixture
def spans() -> Iterator[Spans]:
    spans = Spans()
    with ExitStack() as stack:
        for service, tel in _run.SERVICES.items():
            stack.enter_context(tel.start())
            tel.attach(spans.memories[service])
            stack.callback(tel.detach, spans.memories[service])
        yield spans


def checkout(number: int, **headers: str) -> Request:
    return Request("POST", ("checkout",), number, CHECKOUT, headers)


# --- requests --------------------------------------------------------------------------


def test_each_line_of_its_log_has_the_ids_of_a_span(spans, capfd, monkeypatch):
    monkeypatch.setattr(SHOWN, "_least", OFF)
    SHOWN.choose("info")
    with _run._open_shop(Chance(1)) as port:
        for number in (1, 2, DECLINED, AWAY):
            _http.call(port, checkout(number))
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert {line["service"] for line in lines} == {"shop", "orders"}
    found = {
        (service, span.trace_id, span.span_id)
        for service, memory in spans.memories.items()
        for span in memory.spans
    }
    assert {(it["service"], it["trace_id"], it["span_id"]) for it in lines} <= found


def test_every_request_is_one_trace(spans):
    requests = [
        *map(checkout, (1, 2, 3, 4, DECLINED, AWAY, CANCELLED)),
        Request("GET", ("products", "books", "novel"), 8),
        Request("GET", ("products", "books", "unicorn"), 9),
    ]
    with _run._open_shop(Chance(1)) as port, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda request: _http.call(port, request), requests))

    shapes = {201: BOUGHT, 402: NOT_PAID, 504: NOT_PAID, 200: BROWSED, 404: BROWSED}
    seen = Counter()
    for trace in spans.traces():
        (root,) = (span for span in trace.values() if not span.parent)
        assert shape(trace) == shapes[status_of(root)]
        seen[status_of(root)] += 1
    assert seen == Counter(answer.status for answer in answers)
    assert seen == {201: 5, 402: 1, 504: 1, 200: 1, 404: 1}


def test_a_checkout_in_detail(spans):
    with _run._open_shop(Chance(1)) as port:
        _http.call(port, checkout(1))
    trace = spans.only_trace()
    assert len({span.trace_id for span in trace.values()}) == 1
    remote = {key for key, span in trace.items() if span.remote_parent}
    assert remote == {ACCEPT, PACK}
    assert {span.outcome for span in trace.values()} == {"ok"}

    assert trace[ROOT].attributes == {
        "http.request.method": "POST",
        "http.route": "/checkout",
        "http.response.status_code": 201,
        "url.scheme": "http",
        "url.path": "/checkout",
        "channel": "web",
    }
    assert trace[ACCEPT].attributes["http.route"] == "/orders"
    assert status_of(trace[ACCEPT]) == 202
    call = trace[CALL].attributes
    assert call["server.address"] == "127.0.0.1"
    port = call["server.port"]
    assert call["url.full"] == f"http://127.0.0.1:{port}/orders"
    assert call["http.request.method"] == "POST"
    assert status_of(trace[CALL]) == 202
    for key, kind in ((QUEUED, "send"), (PACK, "process")):
        attributes = trace[key].attributes
        assert attributes["messaging.operation.type"] == kind
        assert attributes["messaging.destination.name"] == "packing"


def test_a_failure_marks_the_spans_it_went_through(spans):
    with _run._open_shop(Chance(1)) as port:
        for number in (DECLINED, AWAY, CANCELLED):
            _http.call(port, checkout(number))
    by_status = {status_of(trace[ROOT]): trace for trace in spans.traces()}
    assert by_status[402][ROOT].status == "unset", "a declined card is no failure"
    late = by_status[504]
    assert {span.status for span in late.values()} == {"error"}
    assert {span.error_type for span in late.values()} == {"PaymentTimedOut"}
    packed = by_status[201].pop(PACK)
    assert packed.outcome == "cancelled"
    assert {span.outcome for span in by_status[201].values()} == {"ok"}


def test_a_full_queue_is_an_error_of_both_services(spans, monkeypatch):
    monkeypatch.setattr(_orders, "QUEUE_CAPACITY", 1)
    chance = Chance(1)
    packing = Packing(chance)
    packing.add("small", 1)  # nobody packs yet
    spans.memories["orders"].spans.clear()
    with (
        HttpService("orders", Orders(packing, chance).answer) as orders,
        HttpService("shop", Shop(orders.port, chance).answer) as shop,
    ):
        assert _http.call(shop.port, checkout(2)).status == 503
    trace = spans.only_trace()
    assert shape(trace) == {key: up for key, up in BOUGHT.items() if key != PACK}
    failed = {key for key, span in trace.items() if span.status == "error"}
    assert failed == {ROOT, SEND, CALL, ACCEPT, QUEUED}
    assert trace[ACCEPT].error_type == trace[QUEUED].error_type == "PackingIsFull"
    assert trace[ROOT].error_type == trace[CALL].error_type == "OrderRefused"
    with packing:
        pass


def test_the_trace_of_a_caller_goes_on(spans):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with _run._open_shop(Chance(1)) as port:
        _http.call(port, checkout(1, traceparent=parent))
    trace = spans.only_trace()
    assert trace[ROOT].parent_id == "b7ad6b7169203331"
    assert {span.trace_id for span in trace.values()} == {parent[3:35]}


@pytest.mark.parametrize("service", ["shop", "orders"])
def test_a_path_of_nobody_has_no_route(spans, service):
    packing = Packing(Chance(1))
    answer = {"shop": Shop(0, Chance(1)), "orders": Orders(packing, Chance(1))}
    with HttpService(service, answer[service].answer) as server:
        answered = _http.call(server.port, Request("GET", ("wp-admin", "1.php"), 1))
    assert answered == (HTTPStatus.NOT_FOUND, {"error": "NotFound"})
    span = spans.only_trace()[service, "GET", "server"]
    assert status_of(span) == 404
    assert "http.route" not in span.attributes
    assert span.status == "unset"


def test_a_mistake_before_the_endpoint_is_an_error(spans):
    with _run._open_shop(Chance(1)) as port:
        request = Request("POST", ("checkout",), 1, {**CHECKOUT, "cents": "many"})
        assert _http.call(port, request).status == 500
    span = spans.only_trace()[ROOT]
    assert (status_of(span), span.status, span.error_type) == (
        500, "error", "ValueError",
    )  # fmt: skip


# --- what is current -------------------------------------------------------------------


def test_a_request_leaves_nothing_current(spans):
    tel = _shop.tel

    def fine() -> Answer:
        assert tel.trace.current_span().context
        return Answer(HTTPStatus.OK, {})

    def fails() -> Answer:
        raise NotFound

    headers = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "baggage": "customer=7",
    }
    for endpoint in (fine, fails):
        with pytest.raises(NotFound) if endpoint is fails else ExitStack():
            serve(tel, Request("GET", ("x",), 1, {}, headers), "/x", endpoint)
        assert not tel.trace.current_span().context
        assert not tel.trace.baggage()


def test_an_order_leaves_nothing_to_the_next_one(spans, monkeypatch):
    monkeypatch.setattr(_orders, "PACKERS", 1)
    tel = _orders.tel
    between = []

    def look() -> None:
        between.append((tel.trace.current_span().context, dict(tel.trace.baggage())))

    still_open = SimpleNamespace(inc=lambda: None, dec=look)
    monkeypatch.setattr(_orders, "unpacked", still_open)
    with Packing(Chance(1)) as packing:
        for number in (1, CANCELLED):
            with tel.span("request"), tel.use(baggage={"customer": "7"}):
                packing.add("small", number)
                packing._queue.put(Order(number, "large", {}))
    assert [(bool(context), baggage) for context, baggage in between] == [
        (False, {})
    ] * 4
    requests, adds, packs = (
        [span for span in spans.memories["orders"].spans if span.name == name]
        for name in ("request", "send packing", "Packing.pack")
    )
    assert [pack.outcome for pack in packs] == ["ok", "ok", "cancelled", "cancelled"]
    assert [packs[n].trace_id for n in (0, 2)] == [span.trace_id for span in requests]
    assert [packs[n].parent for n in (0, 2)] == [span.context.span for span in adds]
    assert [packs[n].parent for n in (1, 3)] == [0, 0]
    assert len({pack.trace_id for pack in packs}) == 4


# --- the slowest trace -----------------------------------------------------------------


class Service:
    """A service whose spans take as long as a test says."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        self.tel = Obs(name, runtime=False, clock=clock)
        self._clock = clock

    def take(self, name: str, seconds: float, parent: object = None) -> object:
        """End a span after so long; give its context."""
        with self.tel.span(name, parent=parent) as span:
            self._clock.advance(seconds)
        return span.context


@contextmanager
def two_services():
    clock = FakeClock()
    services = {name: Service(name, clock) for name in ("a", "b")}
    tels = [service.tel for service in services.values()]
    with ExitStack() as stack:
        for tel in tels:
            stack.enter_context(tel.start())
        slowest = stack.enter_context(SlowestTrace().listening(tels))
        yield services["a"], services["b"], slowest
    assert [tel.trace.sink.__name__ for tel in tels] == ["put", "put"]  # of the intake


def names(slowest: SlowestTrace) -> list[tuple[str, str]]:
    return [(step.service, step.span.name) for step in slowest.steps]


def test_the_slowest_trace_is_kept_whole():
    with two_services() as (a, b, slowest):
        a.take("quick root", 1)
        with a.tel.span("slow root") as root:
            b.take("early", 2, root)
        with a.tel.span("other root") as other:
            b.take("other's early", 1, other)
        a.take("other's late", 50, other)
        a.take("as slow", 2)
        b.take("late", 50, root)
        b.take("later", 1, root)
    assert names(slowest) == [
        ("b", "early"), ("a", "slow root"), ("b", "late"), ("b", "later"),
    ]  # fmt: skip
    assert slowest.traces == 4


def test_a_slower_one_takes_its_place():
    with two_services() as (a, b, slowest):
        for seconds in (1, 3, 2):
            with a.tel.span(f"root of {seconds} s") as root:
                b.take(f"child of {seconds} s", seconds, root)
    assert names(slowest) == [("b", "child of 3 s"), ("a", "root of 3 s")]


def test_without_a_root_there_is_no_slowest():
    with two_services() as (a, b, slowest):
        root = a.tel.span("open")
        b.take("child", 1, root)
        assert (slowest.traces, slowest.steps) == (0, [])
        root.end()
    assert slowest.traces == 1


def test_open_traces_are_bounded():
    with two_services() as (a, b, slowest):
        with a.tel.span("slow root") as root:
            b.take("early", 9, root)
        for _ in range(3 * MAX_OPEN):
            b.take("never ends", 1, a.tel.span("open"))
            assert len(slowest._open) <= MAX_OPEN
        b.take("late", 1, root)
        assert names(slowest) == [("b", "early"), ("a", "slow root"), ("b", "late")]
        with a.tel.span("slower root") as slower:
            b.take("child", 10, slower)
    assert names(slowest) == [("b", "child"), ("a", "slower root")]


class SlowlyAdded(int):
    """A number that lets other threads go first whenever something is added to it."""

    def __add__(self, other: int) -> "SlowlyAdded":
        time.sleep(0)
        return SlowlyAdded(int(self) + other)


def test_many_threads_lose_no_span():
    interval = sys.getswitchinterval()
    with two_services() as (a, b, slowest):
        slowest.traces = SlowlyAdded(0)
        first = threading.Barrier(4)
        roots = []

        def work() -> None:
            first.wait()
            for _ in range(100):
                with a.tel.span("root") as root, b.tel.span("child"):
                    a.tel.span("grandchild").end()
                roots.append(root)

        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(4) as pool:
                for done in [pool.submit(work) for _ in range(4)]:
                    done.result()
        finally:
            sys.setswitchinterval(interval)
        assert slowest.traces == len(roots) == 400
        assert not slowest._open
    # Time stands still: the first root to end is the slowest.
    assert names(slowest) == [("a", "grandchild"), ("b", "child"), ("a", "root")]


# --- what is printed -------------------------------------------------------------------

OPERATIONS = {name for _, name, _ in BOUGHT}


def printed(lines: list[str]) -> tuple[int, list[str]]:
    """Give how many traces there were, and the lines of the slowest."""
    (head,) = (n for n, line in enumerate(lines) if line.startswith("the slowest of"))
    (count,) = re.fullmatch(r"the slowest of (\d+) traces:", lines[head]).groups()
    return int(count), lines[head + 1 :]


@pytest.fixture
def only_checkouts(monkeypatch) -> None:
    """Have every request succeed, and buy something."""
    monkeypatch.setattr(_traffic, "plan", lambda number, chance: checkout(number))
    monkeypatch.setattr(Chance, "happens", lambda *arguments: False)


@pytest.mark.usefixtures("only_checkouts")
def test_the_end_shows_one_trace_over_both_services(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    assert main(["demo", "--duration", "0.5", "--metrics-port", "0"]) == 0
    out = capsys.readouterr().out
    count, lines = printed(out.splitlines())
    (sent,) = re.findall(r"sent (\d+)", out)
    assert count == int(sent)
    for operation in OPERATIONS:
        assert any(operation in line for line in lines), operation
    assert sum("POST /orders" in line for line in lines) == 2
    assert max(map(len, lines)) <= 90


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_it_draws_with_what_the_output_can_take(encoding):
    ended = subprocess.run(
        [sys.executable, "-m", "obs.cli", "demo", "--duration", "0.3",
         "--metrics-port", "0"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
        timeout=60,
    )  # fmt: skip
    assert ended.stderr == b""
    count, lines = printed(ended.stdout.decode(encoding).splitlines())
    assert count > 0
    assert any(" /" in line for line in lines), "the root's name"
    assert ended.stdout.isascii() == (encoding != "utf-8")


def test_no_request_no_trace(capsys, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    @contextmanager
    def closed_shop(chance: Chance) -> Iterator[int]:
        yield port

    monkeypatch.setattr(_run, "_open_shop", closed_shop)
    assert main(["demo", "--duration", "0.1", "--metrics-port", "0"]) == 0
    assert "slowest" not in capsys.readouterr().out
