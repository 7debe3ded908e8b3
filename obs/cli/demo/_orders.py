"""The service behind the shop: it takes orders, and workers pack them."""

from collections.abc import Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from http import HTTPStatus
from queue import Full, Queue
from threading import Thread
from time import sleep
from typing import NamedTuple, Self

from obs._obs import Obs
from obs.cli.demo._chance import Chance
from obs.cli.demo._http import Answer, HttpError, Request, not_found
from obs.cli.demo._logs import STDERR
from obs.cli.demo._serve import serve

PACKERS = 3
QUEUE_CAPACITY = 16
QUEUE = {"messaging.system": "queue.Queue", "messaging.destination.name": "packing"}
SENT = {**QUEUE, "messaging.operation.name": "send", "messaging.operation.type": "send"}
PROCESSED = {
    **QUEUE,
    "messaging.operation.name": "pack",
    "messaging.operation.type": "process",
}

tel = Obs("orders", version="0.9.0", environment="demo", routes=[STDERR])
log = tel.logger("orders")

accepted = tel.counter(
    "orders.accepted", "Orders accepted.", unit="{order}", labels=("size",)
)
unpacked = tel.metrics.updown("orders.open", "Orders accepted and not packed yet.")
queue_depth = tel.gauge("packing.queue.depth", "Orders that wait for a packer.")
packers_busy = tel.gauge("packing.in_progress", "Orders that are being packed.")
packing_seconds = tel.histogram(
    "packing.duration",
    "How long packing took.",
    unit="s",
    labels=("size",),
    buckets=(0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
)


class PackingIsFull(HttpError):
    """No more orders fit into the queue: an error."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class Order(NamedTuple):
    """What is to be packed; ``headers`` say in which trace."""

    number: int
    size: str
    headers: Mapping[str, str]


class Orders:
    """What the orders service does with a request.

    Args:
        packing: Where orders go.
        chance: Decides how long it takes.
    """

    def __init__(self, packing: "Packing", chance: Chance) -> None:
        self._packing = packing
        self._chance = chance

    def answer(self, request: Request) -> Answer:
        """Hand a request to its endpoint."""
        if (request.method, request.path) != ("POST", ("orders",)):
            return serve(tel, request, "", not_found)
        size = "large" if request.body.get("size") == "large" else "small"
        return serve(tel, request, "/orders", lambda: self.accept(size, request.number))

    @tel.endpoint(labels=("size",))
    def accept(self, size: str, number: int) -> Answer:
        """Take an order; it is packed later."""
        self.reserve(number)
        self._packing.add(size, number)
        accepted.labels(size).inc()
        log.info("order.accepted", order=number, size=size)
        return Answer(HTTPStatus.ACCEPTED, {"order": number})

    @tel.operation()
    def reserve(self, number: int) -> None:
        """Put the goods aside; sometimes they have to be looked for."""
        if self._chance.happens("goods are not on the shelf", number, 0.02):
            sleep(0.55)
        sleep(self._chance.seconds("reserve", number, usual=0.004, slow=0.06))


class Packing:
    """Packs orders on a few threads, inside a ``with`` block, at whose end all is packed.

    Args:
        chance: Decides how long it takes, and who cancels an order.
    """

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._queue: Queue[Order | None] = Queue(QUEUE_CAPACITY)
        self._packers = [
            Thread(target=self._work, name=f"packer-{n}") for n in range(PACKERS)
        ]
        # Asked for when the metrics are read; once the queue is gone, so is the series.
        queue_depth.set_function(Queue.qsize, owner=self._queue)

    def __enter__(self) -> Self:
        for packer in self._packers:
            packer.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for _ in self._packers:
            self._queue.put(None)
        for packer in self._packers:
            packer.join()

    def add(self, size: str, number: int) -> None:
        """Have an order packed, if there is room for it.

        Raises:
            PackingIsFull: There is none.
        """
        with tel.span("send packing", SENT, kind="producer"):
            # What is current belongs to this thread: the packer gets it with the order.
            order = Order(number, size, tel.inject())
            try:
                self._queue.put_nowait(order)
            except Full:
                raise PackingIsFull from None
        unpacked.inc()

    def _work(self) -> None:
        while (order := self._queue.get()) is not None:
            with suppress(CancelledError), tel.use(tel.extract(order.headers)):
                self.pack(order.size, order.number)
            unpacked.dec()

    # A CancelledError that leaves the call counts as cancelled, not as an error.
    @tel.operation(kind="consumer", labels=("size",))
    @packers_busy.track_in_progress()
    def pack(self, size: str, number: int) -> None:
        """Pack one order, unless the customer cancels it meanwhile."""
        tel.trace.current_span().set(PROCESSED)
        with packing_seconds.labels(size).time():
            usual = 0.06 if size == "small" else 0.09
            sleep(self._chance.seconds("pack", number, usual=usual, slow=0.2))
        if self._chance.happens("customer cancels", number, 0.04):
            log.warning("order.cancelled", order=number)
            raise CancelledError
        log.info("order.packed", order=number, size=size)
