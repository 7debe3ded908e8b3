"""The cells of the fault matrix: what a backend does, and what is to become of spans."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.faults.cells import DELIVERED, DOINGS, PARTIAL, RETRIED, Fate, Pace, play

FOUR = {"refuse": RETRIED, "never_read": RETRIED, "503": RETRIED}
FOUR |= dict.fromkeys(["reset_mid_request", "reset_before_answer"], RETRIED)
MODES = FOUR | {
    "never_answer": RETRIED,
    "close_after:1": DELIVERED,
    "close_after:3": DELIVERED,
    "drip_head": RETRIED,
    "drip_body": DELIVERED,
    "stall:60": RETRIED,
    "garbage": RETRIED,
    "302": Fate("http_302"),
    "307": Fate("http_307"),
    "400": Fate("http_400"),
    "413": Fate("http_413"),
    "early:413": Fate("http_413"),
    "500": Fate("http_500"),
    "502": RETRIED,
    "429": RETRIED,
    "429:1": Fate(wait=1.0),
    "429:junk": RETRIED,
    "503:1": Fate(wait=1.0),
    "503:3600": Fate(wait=3600.0),
    "503:-5": RETRIED,
    "503:junk": RETRIED,
    "503:past": RETRIED,
    "503:date": Fate(wait=27.0),  # of 30 since the mode was set
    "interim:3": DELIVERED,
    "partial": PARTIAL,
    "huge:length": DELIVERED,
    "huge:close": DELIVERED,
    "huge:chunked": DELIVERED,
    "bomb": DELIVERED,
    "wrong_name": RETRIED,
    "expired": RETRIED,
    "unknown_issuer": RETRIED,
    "plain": RETRIED,
}
GRPC = dict.fromkeys(
    ["refuse", "never_read", "reset", "reset_before_answer", "UNAVAILABLE"], RETRIED
) | {"INVALID_ARGUMENT": Fate("grpc_invalid_argument")}
SCRIPTED = {
    "down": RETRIED,
    "503, held": Fate(wait=3600.0),
    "refused": Fate("http_400"),
    "lost_answer": RETRIED,
    "lost_for_good": Fate("unknown"),
    "raises": Fate("export_failed"),
    "exits": Fate("export_failed"),
    "no_memory": Fate("export_failed"),
    "answers_nonsense": Fate("export_failed"),
    "hangs": RETRIED,
    "slow": DELIVERED,
    "partial": PARTIAL,
}


def cells(*backends: type, modes: Mapping[str, Fate]) -> pytest.MarkDecorator:
    """Give a test each backend in each mode, with each of what is done, as ``cell``."""
    return pytest.mark.parametrize(
        "cell",
        [
            pytest.param(
                (backend, mode, fate, doing), id=f"{backend.__name__}-{mode}-{doing}"
            )
            for backend in backends
            for mode, fate in modes.items()
            for doing in DOINGS
        ],
    )


@contextmanager
def played(request, pace: Pace, threads: int) -> Iterator[dict[tuple, Future[None]]]:
    """Play the cells that a module is asked for side by side: they mostly wait."""
    asked = [
        item.callspec.params["cell"]
        for item in request.session.items
        if item.path == request.path and "played" in item.fixturenames
    ]
    with ThreadPoolExecutor(threads) as pool:
        yield {cell: pool.submit(_play, pace, *cell) for cell in asked}


def _play(pace, backend, mode, fate, doing):
    play(backend(mode), doing, fate, pace)
