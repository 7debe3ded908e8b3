"""The front end of the shop: customers browse and check out."""

from http import HTTPStatus
from time import sleep

from obs._obs import Obs
from obs.cli.demo._chance import Chance
from obs.cli.demo._http import (
    HOST,
    Answer,
    HttpError,
    NotFound,
    Request,
    call,
    not_found,
)
from obs.cli.demo._logs import STDERR
from obs.cli.demo._serve import STATUS_CODE, serve

VERSION = "1.4.2"
CATALOGUE = {
    "books": ("atlas", "cookbook", "novel"),
    "games": ("chess", "dice", "puzzle"),
    "garden": ("rake", "seeds", "spade"),
}
CHANNELS = ("web", "app")
METHODS = ("card", "invoice")

# Constructing opens nothing. The exporter is attached where the port is known, in
# _run.py; where it is fixed: Obs("shop", exporters=[PrometheusExporter(port=9464)]).
tel = Obs("shop", version=VERSION, environment="demo", routes=[STDERR])
log = tel.logger("shop")

build = tel.metrics.info("shop.build", "What is running.", labels=("version", "commit"))
payments = tel.counter(
    "shop.payments",
    "Payments, by how they ended.",
    unit="{payment}",
    labels=("method", "result"),
)
revenue = tel.counter("shop.revenue", "What customers have paid, in cents.")
payments_open = tel.gauge(
    "shop.payments.in_progress", "Payments that wait for the provider."
)
payment_seconds = tel.histogram(
    "shop.payment.duration",
    "How long the payment provider took.",
    unit="s",
    labels=("method",),
    buckets=(0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0),
)


class CardDeclined(HttpError):
    """The customer's card was declined: no failure of the shop, so it counts as ok."""

    status = HTTPStatus.PAYMENT_REQUIRED


class PaymentTimedOut(HttpError):
    """The payment provider did not answer: an error."""

    status = HTTPStatus.GATEWAY_TIMEOUT


class OrderRefused(HttpError):
    """The orders service did not take the order: an error."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class Shop:
    """What the front end does with a request.

    Args:
        orders_port: Where the orders service listens.
        chance: Decides what goes wrong.
    """

    ENDPOINTS = ("Shop.browse", "Shop.checkout")
    """Each request is one call of one of these."""

    def __init__(self, orders_port: int, chance: Chance) -> None:
        self._orders_port = orders_port
        self._chance = chance
        build.set(version=VERSION, commit="8f3c2e1")

    def answer(self, request: Request) -> Answer:
        """Hand a request to its endpoint."""
        body, number = request.body, request.number
        match (request.method, *request.path):
            case ("GET", "products", category, product):
                shelf = _known(category, tuple(CATALOGUE))
                return serve(
                    tel,
                    request,
                    "/products/{category}/{product}",
                    lambda: self.browse(shelf, product, number),
                )
            case ("POST", "checkout"):
                return serve(
                    tel,
                    request,
                    "/checkout",
                    lambda: self.checkout(
                        _known(body.get("channel"), CHANNELS),
                        _known(body.get("method"), METHODS),
                        int(body.get("cents", 0)),
                        number,
                    ),
                )
        return serve(tel, request, "", not_found)

    # Its name is Shop.browse; its duration, outcome and label go to operation.duration.
    # Its span is the server's, which serve() has opened.
    @tel.endpoint(labels=("category",))
    def browse(self, category: str, product: str, number: int) -> Answer:
        """Show one product."""
        sleep(self._chance.seconds("page", number, usual=0.008, slow=0.15))
        if product not in CATALOGUE.get(category, ()):
            raise NotFound
        return Answer(HTTPStatus.OK, {"category": category, "product": product})

    @tel.endpoint(labels=("channel",))
    def checkout(self, channel: str, method: str, cents: int, number: int) -> Answer:
        """Take the money and hand the order on."""
        self.charge(method, cents, number)
        self.send_order("small" if cents < 5_000 else "large", number)
        # It carries the ids of the current span by itself.
        log.info("order.placed", order=number, channel=channel, cents=cents)
        return Answer(HTTPStatus.CREATED, {"order": number, "channel": channel})

    @tel.operation(labels=("method",))
    def charge(self, method: str, cents: int, number: int) -> None:
        """Ask the payment provider for the money."""
        with payments_open.track_in_progress(), payment_seconds.labels(method).time():
            result = self._ask_provider(number)
        payments.labels(method, result).inc()
        if result == "timed_out":
            raise PaymentTimedOut
        if result == "declined":
            log.warning("card.declined", order=number, method=method, cents=cents)
            raise CardDeclined
        revenue.inc(cents)

    @tel.operation()
    def send_order(self, size: str, number: int) -> None:
        """Hand an order to the orders service."""
        attributes = {
            "http.request.method": "POST",
            "server.address": HOST,
            "server.port": self._orders_port,
            "url.full": f"http://{HOST}:{self._orders_port}/orders",
        }
        with tel.span("POST /orders", attributes, kind="client") as span:
            # The headers say which span this is: what orders does becomes part of it.
            headers = tel.inject()
            order = Request("POST", ("orders",), number, {"size": size}, headers)
            status = call(self._orders_port, order).status
            span.set({STATUS_CODE: status})
            if status != HTTPStatus.ACCEPTED:
                raise OrderRefused

    def _ask_provider(self, number: int) -> str:
        if self._chance.happens("provider is away", number, 0.02):
            sleep(0.5)
            return "timed_out"
        sleep(self._chance.seconds("provider", number, usual=0.04, slow=0.25))
        return "declined" if self._chance.happens("declined", number, 0.06) else "paid"


def _known(value: object, known: tuple[str, ...]) -> str:
    """Keep a label's values few, whatever a client sends."""
    return value if isinstance(value, str) and value in known else "other"
