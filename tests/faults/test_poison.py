"""What a backend refuses costs its batch a few more requests, and only itself."""

import pytest

from tests.faults.backends import OtlpHttp, otlp_ids
from tests.faults.cells import DELIVERED, Cell, Pace


class Picky(OtlpHttp):
    """Refuses each request that holds one of these ids, with 400."""

    def __init__(self, poison) -> None:
        super().__init__("ok", handler=self._answer)
        self._poison = set(poison)

    def _answer(self, request):
        is_bad = not self._poison.isdisjoint(otlp_ids(request.body))
        return (400 if is_bad else 200), {}, b""


def tried(n, backend):
    """Send n spans, some of which are refused; give the books and the requests."""
    with backend:
        cell = Cell(backend, DELIVERED, Pace(timeout=5.0, interval=60.0))
        cell.record(n)
        result = cell.tel.close(30)
        books = cell.check()
        assert result.pending == 0
        assert (result.delivered, result.lost) == (
            books["delivered"],
            books["rejected"] + books["dropped"],
        )
        return books, len(backend.sink.requests), set(backend.arrived())


@pytest.mark.parametrize("bad", [0, 1, 499, 500, 511, 512, 998, 999])
def test_one_bad_span_of_a_thousand_is_found(bad):
    books, requests, arrived = tried(1_000, Picky({bad}))
    assert arrived == set(range(1_000)) - {bad}
    assert (books["delivered"], books["http_400"]) == (999, 1)
    # Two for each level of a tree over 1,000, at worst, and one for each batch.
    assert requests <= 2 * 10 + 2


def test_where_many_are_bad_a_few_good_ones_go_with_them():
    poison = set(range(0, 100, 10))
    books, requests, arrived = tried(100, Picky(poison))
    assert arrived.isdisjoint(poison)
    assert (books["delivered"], books["http_400"]) == (len(arrived), 100 - len(arrived))
    # Sixteen refusals without a success end the search: here that costs two pieces.
    assert len(arrived) >= 80
    assert requests <= 2 * 10 * 7


def test_a_backend_that_refuses_all_is_not_asked_for_each_span():
    books, requests, arrived = tried(2_000, Picky(range(2_000)))
    assert not arrived
    assert books["http_400"] == 2_000
    assert requests <= 40


class Narrow(OtlpHttp):
    """Takes no request over 5 kB: 413."""

    def __init__(self) -> None:
        super().__init__("ok", handler=self._answer)

    def _answer(self, request):
        return (413 if len(request.body) > 5_000 else 200), {}, b""


def test_a_backend_that_takes_small_requests_alone_gets_everything_in_them():
    books, requests, arrived = tried(4_000, Narrow())
    assert arrived == set(range(4_000))
    assert books["delivered"] == 4_000
    assert requests <= 2 * 128
