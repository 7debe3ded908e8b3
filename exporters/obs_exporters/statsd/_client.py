"""The user's own client as a way to the server."""

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from obs._foreign import is_the_hosts
from obs.errors import type_name


class Client:
    """Hands datagrams to a client of the package ``statsd``.

    Its methods for counters and timers write lines by chance where there is a sample rate,
    so what is used is ``_send``, which they end in. The socket is the user's: it is never
    closed, but for a stream that failed, which opens another.

    Args:
        client: A ``StatsClient``, ``TCPStatsClient`` or ``UnixSocketStatsClient``.
        messages: Gives the datagrams of a body.
    """

    refused = 0

    def __init__(
        self, client: Any, messages: Callable[[bytes], Iterable[bytes]]
    ) -> None:
        self.sent = False
        self._client = client
        self._messages = messages

    def send(self, body: bytes, deadline: float) -> None:
        """Send a body; see ``Transport``. How long that takes is the client's affair."""
        self.sent = False
        if monotonic() >= deadline:
            raise TimeoutError
        connect = getattr(self._client, "connect", None)
        try:
            if connect is not None and getattr(self._client, "_sock", connect) is None:
                connect()
            # Into a stream it puts an end of line by itself.
            for message in [body[:-1]] if connect else self._messages(body):
                self.sent = True
                self._client._send(message.decode("ascii"))
        except BaseException as error:
            if is_the_hosts(error):
                raise
            if connect is not None:
                self._client.close()
            if isinstance(error, OSError):
                raise
            text = f"{type_name(error)}: {error}"
            raise OSError(text) from error

    def close(self, deadline: float) -> None:
        """Leave it open."""

    def forget(self) -> None:
        """Leave it as it is."""
