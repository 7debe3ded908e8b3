"""``obs demo``: run as a user runs it, and its parts."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPException
from queue import Empty, SimpleQueue
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from obs._obs import Obs
from obs.cli import main
from obs.cli.demo import _http, _run, _traffic
from obs.cli.demo._chance import Chance
from obs.cli.demo._http import Answer, HttpService
from obs.cli.demo._report import Row, comparison, rows_of, table
from obs.cli.demo._traffic import NO_ANSWER, Traffic, plan
from obs.testing import FakeClock

WAIT_SECONDS = 30.0
"""How long a test waits for what must come; nothing that passes comes near it."""
END_SECONDS = 2.5
"""The promise is 2 s; the rest is for the interpreter's own end."""

SENT = re.compile(r"requests  sent (\d+), measured (\d+) \(([\d.]+) a second\)")
FAILED = re.compile(r"failures  seen (\d+), measured (\d+)")


class Demo:
    """``obs demo`` as a process, read line by line."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "obs.cli", "demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._coming: SimpleQueue[str | None] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._coming.put(line.rstrip("\n"))
        self._coming.put(None)

    def next_line(self) -> str | None:
        """Give the next line of stdout; None at the end."""
        try:
            line = self._coming.get(timeout=WAIT_SECONDS)
        except Empty:
            pytest.fail(f"no line came; so far: {self.lines}")
        if line is not None:
            self.lines.append(line)
        return line

    def pages(self) -> dict[str, str]:
        """Read until the pages are known: service to address."""
        found: dict[str, str] = {}
        while len(found) < 2:
            line = self.next_line()
            assert line is not None, self.process.stderr.read()
            if match := re.fullmatch(
                r"  (\w+) +metrics (http://127\.0\.0\.1:\S+)", line
            ):
                found[match[1]] = match[2]
        return found

    def rest(self) -> list[str]:
        """Read to the end."""
        count = len(self.lines)
        while self.next_line() is not None:
            pass
        return self.lines[count:]

    def end(self) -> tuple[int, str]:
        """Wait for the end: exit code and stderr."""
        code = self.process.wait(timeout=WAIT_SECONDS)
        return code, self.process.stderr.read()

    def close(self) -> None:
        self.process.kill()
        self._reader.join(WAIT_SECONDS)
        self.process.stdout.close()
        self.process.stderr.close()
        self.process.wait(timeout=WAIT_SECONDS)


@pytest.fixture
def start() -> Iterator[Callable[..., Demo]]:
    running = []

    def start(*arguments: str) -> Demo:
        running.append(Demo(*arguments))
        return running[-1]

    yield start
    for demo in running:
        demo.close()


def get(url: str, accept: str = "text/plain") -> str:
    with urlopen(Request(url, headers={"Accept": accept}), timeout=10) as answer:
        return answer.read().decode()


def calls_on(page: str) -> Counter[str]:
    """Parse a page; give the calls by operation."""
    calls: Counter[str] = Counter()
    for family in parse_text(page):
        for sample in family.samples:
            if sample.name == "operation_duration_seconds_count":
                calls[sample.labels["operation"]] += int(sample.value)
    return calls


def table_in(lines: list[str]) -> list[Row]:
    head = next(n for n, line in enumerate(lines) if line.startswith("service "))
    end = lines.index("", head)
    return [
        Row(*words[:2], *map(int, words[2:6]), words[6], words[7])
        for words in (re.split(r" {2,}", line) for line in lines[head + 1 : end])
    ]


def numbers(pattern: re.Pattern[str], lines: list[str]) -> list[int]:
    (match,) = filter(None, map(pattern.fullmatch, lines))
    return [int(number) for number in match.groups()[:2]]


# --- as a process ----------------------------------------------------------------------


def test_table_pages_and_traffic_agree(start):
    demo = start("--rate", "50", "--duration", "3", "--metrics-port", "0")
    pages = demo.pages()
    assert list(pages) == ["shop", "orders"]
    first: Counter[str] = Counter()
    for page in pages.values():
        first.update(calls_on(get(page)))
        text = get(page, "application/openmetrics-text")
        names = {f.name for f in openmetrics.text_string_to_metric_families(text)}
        assert "operation_duration_seconds" in names
    last = {name: Counter() for name in pages}
    while True:
        try:
            for name, page in pages.items():
                last[name] = calls_on(get(page))
            demo.process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        except (URLError, ConnectionError, HTTPException):
            pass
        break

    lines = demo.rest()
    assert demo.end() == (0, "")
    rows = table_in(lines)
    calls = {row.operation: row.calls for row in rows}
    scraped = last["shop"] + last["orders"]
    assert scraped.total() > first.total()
    assert set(scraped) <= set(calls)
    for operation, final in calls.items():
        assert first[operation] <= scraped[operation] <= final

    sent, measured = numbers(SENT, lines)
    assert 0 < sent <= 150
    assert measured == sent == calls["Shop.browse"] + calls["Shop.checkout"]
    assert f"the slowest of {sent} traces:" in lines
    seen, errors = numbers(FAILED, lines)
    assert seen == errors
    for row in rows:
        assert row.ok + row.error + row.cancelled == row.calls
    assert calls["Shop.charge"] == calls["Shop.checkout"]
    assert calls["Orders.accept"] == calls["Shop.send_order"]
    (packed,) = [row for row in rows if row.operation == "Packing.pack"]
    (accepted,) = [row for row in rows if row.operation == "Orders.accept"]
    assert packed.calls == accepted.ok, "what was accepted is packed before the end"


def test_its_own_instruments_are_on_the_pages(start):
    pages = start("--metrics-port", "0", "--rate", "100").pages()
    wanted = {
        "shop_build_info", "shop_payments_total", "shop_revenue_total",
        "shop_payments_in_progress", "shop_payment_duration_seconds_count",
        "orders_accepted_total", "orders_open", "packing_queue_depth",
        "packing_in_progress", "packing_duration_seconds_count",
        "operation_duration_seconds_bucket", "operation_in_flight",
    }  # fmt: skip
    deadline = time.monotonic() + WAIT_SECONDS
    while wanted and time.monotonic() < deadline:
        for page in pages.values():
            for family in parse_text(get(page)):
                wanted -= {sample.name for sample in family.samples}
    assert not wanted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_time_with_a_table(start, number):
    demo = start("--rate", "50", "--metrics-port", "0")
    page = demo.pages()["shop"]
    deadline = time.monotonic() + WAIT_SECONDS
    while calls_on(get(page)).total() < 20 and time.monotonic() < deadline:
        pass
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(demo.process.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"] * 4

    began = time.monotonic()
    demo.process.send_signal(number)
    code, stderr = demo.end()
    assert time.monotonic() - began < END_SECONDS
    assert (code, stderr) == (0, "")
    lines = demo.rest()
    assert table_in(lines)
    sent, measured = numbers(SENT, lines)
    assert sent == measured > 0


def test_a_second_signal_does_no_harm(start):
    demo = start("--rate", "50", "--metrics-port", "0")
    demo.pages()
    for _ in range(3):
        demo.process.send_signal(signal.SIGINT)
    assert demo.end() == (0, "")
    assert any(map(SENT.fullmatch, demo.rest()))


@pytest.mark.parametrize("service", [0, 1], ids=["first", "second"])
def test_a_taken_port_is_one_line_on_stderr(start, service):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = start("--metrics-port", str(port - service))
        code, stderr = demo.end()
    assert code == 1
    assert demo.rest() == []
    assert re.fullmatch(
        rf"obs demo: exporter 'prometheus': http server '127\.0\.0\.1:"
        rf"({port - service}|{port})': cannot listen: Address already in use\. "
        r"Give a host of this machine and a port that is free\. "
        r"--metrics-port 0 takes any free one\.\n",
        stderr,
    )


def test_a_reader_that_left_is_no_traceback():
    with subprocess.Popen(
        [sys.executable, "-m", "obs.cli", "demo", "--duration", "1",
         "--metrics-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=WAIT_SECONDS) == 1


# --- in this process -------------------------------------------------------------------


def test_it_leaves_no_thread_and_no_handler_behind(capsys):
    threads = set(threading.enumerate())
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    for _ in range(2):  # the second time the instruments have counted before
        assert main(["demo", "--duration", "0.5", "--metrics-port", "0"]) == 0
        sent, measured = numbers(SENT, capsys.readouterr().out.splitlines())
        assert sent == measured > 0
    assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    # A request's thread ends just after its answer.
    deadline = time.monotonic() + WAIT_SECONDS
    while set(threading.enumerate()) - threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--rate 1e-300", "argument --rate: '1e-300' is not a number from 0.1"),
        ("--rate 0", "argument --rate: '0' is not a number from 0.1 to 10000"),
        ("--rate nan", "argument --rate: 'nan' is not a number from 0.1 to"),
        ("--rate x", "argument --rate: 'x' is not a number from 0.1 to"),
        ("--duration -1", "argument --duration: '-1' is not a number from 0.1 to"),
        ("--duration inf", "argument --duration: 'inf' is not a number from 0.1 to"),
        ("--metrics-port 65535", "'65535' is not a port from 0 to 65534"),
        ("--metrics-port x", "'x' is not a port from 0 to 65534"),
        ("--seed x", "argument --seed: invalid int value: 'x'"),
        ("--colour", "unrecognized arguments: --colour"),
    ],
)
def test_wrong_arguments_are_refused(capsys, arguments, text):
    with pytest.raises(SystemExit) as stop:
        main(["demo", *arguments.split()])
    assert stop.value.code == 2
    assert text in capsys.readouterr().err


def test_a_command_is_needed(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "demo" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert re.fullmatch(r"obs \d+\.\d+\S*\n", capsys.readouterr().out)


def test_the_same_seed_gives_the_same_answers():
    def answers(seed: int) -> list[int]:
        chance = Chance(seed)
        with _run._open_shop(chance) as port, ThreadPoolExecutor(4) as pool:
            requests = [plan(number, chance) for number in range(30)]
            return [a.status for a in pool.map(lambda r: _http.call(port, r), requests)]

    first = answers(5)
    assert first == answers(5)
    assert {HTTPStatus.OK, HTTPStatus.CREATED} <= set(first)
    assert [plan(n, Chance(6)) for n in range(9)] != [
        plan(n, Chance(5)) for n in range(9)
    ]


# --- traffic ---------------------------------------------------------------------------


def test_each_request_is_sent_once_and_never_early():
    came: dict[int, float] = {}

    def answer(request: _http.Request) -> Answer:
        assert request.number not in came
        came[request.number] = time.monotonic()
        return Answer(HTTPStatus.OK, {})

    with (
        HttpService("test", answer) as service,
        Traffic(service.port, Chance(1), rate=200, duration=0.5) as traffic,
    ):
        began = traffic._began
        for client in traffic._clients:
            client.join(WAIT_SECONDS)
    assert sorted(came) == list(range(100))
    assert traffic.answers == {200: 100}
    assert all(came[number] - began >= number / 200 for number in came)


def test_what_is_late_is_sent_at_once(monkeypatch):
    """The schedule is absolute: a pause does not shift what comes after it."""
    times = iter([0.0])  # at the start; from then on two minutes have passed
    monkeypatch.setattr(_traffic, "monotonic", lambda: next(times, 120.0))
    with (
        HttpService("test", lambda request: Answer(HTTPStatus.OK, {})) as service,
        Traffic(service.port, Chance(1), rate=0.5, duration=120) as traffic,
    ):
        for client in traffic._clients:
            client.join(WAIT_SECONDS)
    assert traffic.answers == {200: 60}


def test_a_shop_that_does_not_answer_is_counted():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Traffic(port, Chance(1), rate=100, duration=0.1) as traffic:
        for client in traffic._clients:
            client.join(WAIT_SECONDS)
    assert traffic.answers == {NO_ANSWER: 10}


# --- HTTP ------------------------------------------------------------------------------


def test_what_an_endpoint_raises_becomes_a_status():
    def answer(request: _http.Request) -> Answer:
        if request.path == ("missing",):
            raise _http.NotFound
        return Answer(HTTPStatus.OK, {"half": 1 / request.number})

    with HttpService("test", answer) as service:
        for path, number, wanted in [
            ("missing", 1, Answer(HTTPStatus.NOT_FOUND, {"error": "NotFound"})),
            ("x", 2, Answer(HTTPStatus.OK, {"half": 0.5})),
            (
                "x",
                0,
                Answer(
                    HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "ZeroDivisionError"}
                ),
            ),
        ]:
            request = _http.Request("GET", (path,), number)
            assert _http.call(service.port, request) == wanted


def test_a_silent_client_does_not_hold_up_the_end():
    began = time.monotonic()
    with HttpService("test", lambda request: Answer(HTTPStatus.OK, {})) as service:
        silent = socket.create_connection(("127.0.0.1", service.port))
    assert time.monotonic() - began < END_SECONDS
    silent.close()


# --- the report ------------------------------------------------------------------------


def test_rows_add_up_what_an_operation_did():
    clock = FakeClock()
    tel = Obs("test", runtime=False, clock=clock)

    class Teapot(Exception):
        status = 418

    @tel.operation("brew", labels=("pot",))
    def brew(pot: str, error: BaseException | None = None) -> None:
        clock.advance(0.2)
        if error:
            raise error

    @tel.operation("never_called")
    def never_called() -> None: ...

    def quietly(pot: str, error: BaseException) -> None:
        with pytest.raises(type(error)):
            brew(pot, error)

    brew("a")
    brew("b")
    quietly("a", Teapot())
    quietly("a", ValueError())
    quietly("b", KeyError())
    quietly("b", CancelledError())
    (row,) = rows_of("test", tel.snapshot())
    assert row[:6] == ("test", "brew", 6, 3, 2, 1)
    assert row.p50 == "175.0 ms"
    assert row.p95 == "242.5 ms"


def test_table():
    rows = [
        Row("shop", "browse", 1234, 1200, 34, 0, "7.8 ms", "120.0 ms"),
        Row("orders", "pack", 5, 4, 0, 1, "70.0 ms", "80.0 ms"),
    ]
    assert table(rows).splitlines() == [
        "service  operation  calls    ok  error  cancelled      p50       p95",
        "shop     browse      1234  1200     34          0   7.8 ms  120.0 ms",
        "orders   pack           5     4      0          1  70.0 ms   80.0 ms",
    ]


def test_comparison():
    rows = [
        Row("shop", "browse", 300, 299, 1, 0, "", ""),
        Row("shop", "checkout", 100, 97, 3, 0, "", ""),
    ]
    answers = {200: 290, 404: 9, 201: 97, 504: 3, NO_ANSWER: 1}
    assert comparison(rows, answers, 20.0).splitlines() == [
        "requests  sent 400, measured 400 (20.0 a second)",
        "failures  seen 4, measured 4",
        "answers   none: 1  200: 290  201: 97  404: 9  504: 3",
    ]
    assert comparison([], {}, 0.5).splitlines()[-1] == "answers   none"


# --- exporters

BOOKS = re.compile(r"(shop|orders) +(\S+) +(metrics|logs|traces)((?: +\d+){5})")


def books(lines: list[str]) -> dict[tuple[str, ...], list[int]]:
    """What became of everything, by service, exporter and signal."""
    found = filter(None, map(BOOKS.fullmatch, lines))
    return {match.groups()[:3]: [int(n) for n in match[4].split()] for match in found}


def test_everything_goes_where_the_url_says(start, tmp_path):
    path = tmp_path / "demo.jsonl"
    demo = start(
        *("--duration", "1", "--metrics-port", "0"),
        *("--exporter", f"jsonl:{path}", "--exporter", f"jsonl:{path}?name=again"),
    )
    found = books(demo.rest())
    assert demo.end() == (0, "")
    assert len(found) == 12
    for delivered, *lost in found.values():
        assert delivered > 0
        assert lost == [0, 0, 0, 0]
    spans = sum(b'"type":"span"' in line for line in path.read_bytes().splitlines())
    assert spans == sum(
        n for (_, _, signal), (n, *_) in found.items() if signal == "traces"
    )


def test_a_backend_that_is_away_costs_a_second_and_is_counted(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # nobody listens there any more in a moment
    url = f"otlp://127.0.0.1:{port}"
    demo = start("--rate", "5", "--metrics-port", "0", "--exporter", url)
    demo.pages()
    demo.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    found = books(demo.rest())
    code, said = demo.end()
    assert time.monotonic() - began < END_SECONDS
    assert code == 0
    assert "Connection refused" in said
    for (_, _, which), (delivered, rejected, dropped, unknown, queued) in found.items():
        assert (delivered, rejected, unknown, queued) == (0, 0, 0, 0)
        assert which != "metrics" or dropped == 1


@pytest.mark.parametrize(
    ("urls", "code", "text"),
    [
        (["kafka://x"], 2, "exporter URL: got 'kafka', needs one of"),
        (
            ["otlp://x", "otlp://y"],
            1,
            "exporter 'otlp': another exporter has this name.",
        ),
    ],
)
def test_a_wrong_url_is_refused(start, urls, code, text):
    arguments = [part for url in urls for part in ("--exporter", url)]
    demo = start("--metrics-port", "0", "--duration", "1", *arguments)
    demo.rest()
    found, said = demo.end()
    assert found == code
    assert text in said
