"""A good exporter of all three signals: lines of text to a backend in memory."""

import time
from functools import lru_cache
from urllib.parse import quote, unquote

from obs.errors import ExportFailed
from obs.model import Ack, Delivery, HistogramPoint, Payload
from obs.testing.contract import Histogram, Log, Number, Rig, Span


class Backend:
    """Keeps lines, until it is told to misbehave."""

    def __init__(self):
        self.lines = []
        self.mode = ""
        self._decoded = []

    def post(self, body, deadline):
        if time.monotonic() > deadline:
            raise TimeoutError
        if self.mode == "refuse":
            raise ConnectionRefusedError
        if self.mode == "close":
            raise ConnectionResetError
        if self.mode == "silent":
            time.sleep(max(0, deadline - time.monotonic()))
            raise TimeoutError
        if self.mode == "garbage":
            return "\x00\xff"
        lines = body.decode().split("\n")[:-1]
        self.lines += lines
        return f"ok {len(lines)}"

    def break_it(self, mode):
        self.mode = mode

    def received(self):
        """Decode each line once: it is asked after each push, for all of them."""
        self._decoded += map(decoded, self.lines[len(self._decoded) :])
        return list(self._decoded)


@lru_cache(1000)
def escaped(text):
    return quote(text, safe=" ", errors="surrogatepass")


def unescaped(text):
    return unquote(text, errors="surrogatepass")


def labels_of(text):
    pairs = (pair.split("=") for pair in text.split(",") if pair)
    return {unescaped(pair[0]): unescaped(pair[-1]) for pair in pairs}


def decoded(line):
    kind, *parts = line.split("\t")
    try:
        if kind == "N":
            return Number(unescaped(parts[0]), labels_of(parts[1]), float(parts[2]))
        if kind == "H":
            bounds = [float(bound) for bound in parts[3].split(",") if bound]
            counts = [int(n) for n in parts[4].split(",")]
            name, labels = unescaped(parts[0]), labels_of(parts[1])
            return Histogram(name, labels, sum(counts), float(parts[2]), bounds, counts)
        if kind == "S":
            return Span(*parts[:3], unescaped(parts[3]))
        if kind == "L":
            return Log(unescaped(parts[0]), labels_of(parts[1]))
    except (IndexError, ValueError):
        pass
    return line


class Lines:
    """The good exporter; broken ones override a method each."""

    name = "lines"
    signals = frozenset({"metrics", "logs", "traces"})
    delivery = Delivery(max_bytes=20_000)

    def __init__(self, backend):
        self.backend = backend

    def encode(self, batch):
        lines = [self.line(point) for point in self.points(batch)]
        lines += [self.line(record) for record in batch.records]
        return list(self.packed(batch, lines))

    def points(self, batch):
        return [(family, point) for family in batch.families for point in family.points]

    def packed(self, batch, lines):
        """Metrics are divided, records left together."""
        divides = self.divides(batch)
        body, records, dropped = [], 0, 0
        size = 0
        for line in lines:
            fits = line is not None and (not divides or len(line) <= self.limit())
            if fits and divides and size + len(line) > self.limit():
                yield self.payload(body, records, dropped)
                body, records, dropped, size = [], 0, 0, 0
            if fits:
                body.append(line)
                records += 1
                size += len(line)
            else:
                dropped += 1
        if records or dropped:
            yield self.payload(body, records, dropped)

    def divides(self, batch):
        return batch.signal == "metrics"

    def limit(self):
        return self.delivery.max_bytes

    def payload(self, body, records, dropped):
        counted = {"invalid": dropped} if dropped else {}
        return Payload(b"".join(body), records, counted)

    def line(self, record):
        """Give a line; None for what cannot be encoded."""
        try:
            return ("\t".join(self.parts(record)) + "\n").encode()
        except (ValueError, OverflowError):
            return None

    def parts(self, record):
        if hasattr(record, "context"):
            return self.span(record)
        if hasattr(record, "event"):
            return "L", self.text(record.event), self.pairs(record.fields)
        family, point = record
        if isinstance(point, HistogramPoint):
            return self.histogram(family, point)
        value = repr(float(point.value))
        return "N", self.text(family.name), self.pairs(point.labels), value

    def span(self, span):
        name = self.text(span.name)
        ids = span.trace_id, span.span_id, span.parent_id
        return "S", *ids, name, self.pairs(span.attributes)

    def histogram(self, family, point):
        return (
            "H",
            self.text(family.name),
            self.pairs(point.labels),
            repr(float(point.sum)),
            ",".join(map(repr, point.bounds)),
            ",".join(map(str, point.buckets)),
        )

    def text(self, text):
        return escaped(text)

    def pairs(self, mapping):
        pairs = mapping.items()
        return ",".join(f"{self.text(k)}={self.text(self.value(v))}" for k, v in pairs)

    def value(self, value):
        return value if isinstance(value, str) else repr(value)

    def send(self, payload, deadline):
        if self.backend is None:
            text = "closed"
            raise ExportFailed(text, reason="closed")
        answer = self.ask(payload.body, deadline)
        if answer != f"ok {payload.records}":
            text = f"answered {answer!r}"
            raise ExportFailed(text, sent=True, retryable=True)
        return Ack(payload.records)

    def ask(self, body, deadline):
        try:
            return self.backend.post(body, deadline)
        except OSError as error:
            raise ExportFailed(str(error), retryable=True) from error

    def close(self, deadline):
        self.backend = None


def rig_of(kind):
    backend = Backend()
    return Rig(
        lambda: kind(backend),
        backend.received,
        break_backend=backend.break_it,
    )
