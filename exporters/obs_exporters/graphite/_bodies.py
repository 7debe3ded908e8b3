"""Bodies: lines, or frames of pickled tuples.

Source: carbon 1.1.7, ``MetricLineReceiver``, ``MetricPickleReceiver`` (1 MiB a frame).
"""

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self, TypeAlias

from obs.model import Payload
from obs_exporters.graphite._values import Histograms, Value, text_of

Pack: TypeAlias = Callable[[Sequence[Value], int], bytes]
MAX_BYTES = 64 * 1024
DATAGRAM = 1_432
"""What one packet of an Ethernet takes, with room for a tunnel's header."""
_AROUND_PATH = 48
"""What is sent with a path: at most 37 bytes in a line, 46 in a frame of one tuple."""
_TUPLES = 500


class Body(bytes):
    """What is sent, and what it leaves behind.

    Attributes:
        histograms: Those of its batch: from there the next percentiles count.
    """

    histograms: Histograms

    def __new__(cls, data: bytes, histograms: Histograms) -> Self:
        """Make one of its bytes."""
        body = super().__new__(cls, data)
        body.histograms = histograms
        return body


def payloads(
    points: Iterable[Sequence[Value] | None],
    time: int,
    pack: Pack,
    histograms: Histograms,
) -> Iterator[Payload]:
    """Give bodies of at most 64 KiB; the values of a point stay together.

    Args:
        points: The values of each point; None for one that cannot be sent.
        time: Seconds since the epoch.
        pack: Makes a body, ``lines`` or ``frames``.
        histograms: Those of the batch.
    """
    values: list[Value] = []
    size = records = invalid = 0

    def taken() -> Payload:
        body = Body(pack(values, time), histograms)
        return Payload(body, records, {"invalid": invalid} if invalid else {})

    for point in points:
        more = sum(len(path.encode()) + _AROUND_PATH for path, _ in point or ())
        if point is None or more > MAX_BYTES:
            invalid += 1
            continue
        if size + more > MAX_BYTES:
            yield taken()
            values, size, records, invalid = [], 0, 0, 0
        values.extend(point)
        size += more
        records += 1
    if records or invalid:
        yield taken()


def lines(values: Sequence[Value], time: int) -> bytes:
    """Give values as lines."""
    return "".join(
        f"{path} {text_of(number)} {time}\n" for path, number in values
    ).encode()


def frames(values: Sequence[Value], time: int) -> bytes:
    """Give values as frames of 500 tuples, each behind its length."""
    found = []
    for begin in range(0, len(values), _TUPLES):
        some = values[begin : begin + _TUPLES]
        # Protocol 2: carbon may run on Python 2.
        data = pickle.dumps([(path, (time, n)) for path, n in some], protocol=2)
        found += [len(data).to_bytes(4, "big"), data]
    return b"".join(found)


def datagrams(body: bytes) -> Iterator[bytes]:
    """Give the lines of a body, packed."""
    begin = 0
    while begin < len(body):
        end = body.rfind(b"\n", begin, begin + DATAGRAM) + 1
        yield body[begin:end]
        begin = end
