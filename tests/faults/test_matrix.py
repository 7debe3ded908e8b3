"""The fault matrix: whatever a backend does, the books balance and tell the truth."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from obs.delivery import _backoff, _lanes
from tests.faults.backends import ByScript, Official, OtlpGrpc, OtlpHttp, Zipkin
from tests.faults.cells import DELIVERED, DOINGS, PARTIAL, RETRIED, Fate, Pace, play

FOUR = {"refuse": RETRIED, "never_read": RETRIED, "503": RETRIED}
FOUR |= dict.fromkeys(["reset_mid_request", "reset_before_answer"], RETRIED)
MODES = FOUR | {
    "never_answer": RETRIED,
    "close_after:1": DELIVERED,
    "close_after:3": DELIVERED,
    "drip_head": RETRIED,
    "drip_body": RETRIED,
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
    "503:date": Fate(wait=28.9),
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


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Waits of a hundredth: what is tried here is the order of things."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_lanes, "TICK", 0.02)
        patched.setattr(_backoff, "FIRST", 0.03)
        patched.setattr(_backoff, "MOST", 0.1)
        yield


@pytest.fixture(scope="module")
def played(request, quick):
    """The cells that were asked for: they mostly wait, so they are played side by side."""
    asked = [
        item.callspec.params["cell"]
        for item in request.session.items
        if item.path == request.path and "played" in item.fixturenames
    ]
    with ThreadPoolExecutor(8) as pool:
        yield {cell: pool.submit(_play, *cell) for cell in asked}


def _play(backend, mode, fate, doing):
    play(backend(mode), doing, fate, Pace())


def cells(*backends, modes):
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


@cells(OtlpHttp, modes=MODES)
def test_otlp_over_http(cell, played):
    played[cell].result()


@cells(Zipkin, Official, modes=FOUR)
def test_the_other_exporters_over_http(cell, played):
    played[cell].result()


@cells(OtlpGrpc, modes=GRPC)
def test_otlp_over_grpc(cell, played):
    played[cell].result()


@cells(ByScript, modes=SCRIPTED)
def test_an_exporter_without_a_network(cell, played):
    played[cell].result()
