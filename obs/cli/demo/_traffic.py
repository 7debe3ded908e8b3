"""The customers: they visit the shop at a steady rate, and count the answers."""

import math
from collections import Counter
from http.client import HTTPException
from itertools import count
from threading import Event, Lock, Thread
from time import monotonic
from typing import Self

from obs.cli.demo._chance import Chance
from obs.cli.demo._http import Request, call
from obs.cli.demo._shop import CATALOGUE, CHANNELS, METHODS

NO_ANSWER = 0
MAX_CLIENTS = 32


class Traffic:
    """Sends requests from a few threads, inside a ``with`` block.

    Request number n is due n / rate seconds after the start, however long the ones before
    took; when all threads are waiting for answers it goes out late.

    Args:
        port: Where the shop listens.
        chance: Decides what customers do.
        rate: Requests per second.
        duration: Seconds; None goes on until the end of the block.

    Attributes:
        answers: How many answers came with each status; ``NO_ANSWER`` for none.
        seconds: How long requests were sent, after the block.
    """

    def __init__(
        self, port: int, chance: Chance, *, rate: float, duration: float | None
    ) -> None:
        self._port = port
        self._chance = chance
        self._rate = rate
        self._planned = math.inf if duration is None else math.ceil(rate * duration)
        self._numbers = count()
        self._stop = Event()
        self._lock = Lock()
        # A request takes about 50 ms, a slow one half a second.
        clients = min(MAX_CLIENTS, 2 + math.ceil(rate / 5))
        self._clients = [
            Thread(target=self._visit_again_and_again, name=f"client-{n}")
            for n in range(clients)
        ]
        self.answers: Counter[int] = Counter()
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._began = monotonic()
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self.seconds = monotonic() - self._began
        for client in self._clients:
            client.join()

    def _visit_again_and_again(self) -> None:
        while (number := next(self._numbers)) < self._planned:
            due = self._began + number / self._rate
            if self._stop.wait(max(0.0, due - monotonic())):
                return
            status = self._visit(number)
            with self._lock:
                self.answers[status] += 1

    def _visit(self, number: int) -> int:
        try:
            return call(self._port, plan(number, self._chance)).status
        except (OSError, HTTPException):
            return NO_ANSWER


def plan(number: int, chance: Chance) -> Request:
    """Give what a customer asks for: most browse, some buy."""
    random = chance.of("visit", number)
    if random.random() < 0.4:
        basket = {
            "channel": random.choice(CHANNELS),
            "method": random.choice(METHODS),
            "cents": random.randrange(500, 12_000),
        }
        return Request("POST", ("checkout",), number, basket)
    category = random.choice(list(CATALOGUE))
    is_lost = random.random() < 0.05
    product = "unicorn" if is_lost else random.choice(CATALOGUE[category])
    return Request("GET", ("products", category, product), number)
