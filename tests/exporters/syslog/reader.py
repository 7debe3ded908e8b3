"""An independent reader of RFC 5424, and servers that keep what they get."""

import re
import select
import socket
import threading
import time
from random import SystemRandom
from typing import NamedTuple

import pytest

HEADER = re.compile(
    rb"<(0|[1-9][0-9]{0,2})>1 "
    rb"(-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,6}Z) "
    rb"([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
)
NAME = rb"[!#-<>-\\^-~]{1,32}"
PARAM = re.compile(rb" (" + NAME + rb')="((?:[^"\\\]]|\\["\\\]])*)"')
ELEMENT = re.compile(rb"\[(" + NAME + rb")((?:" + PARAM.pattern + rb")*)\]")
ESCAPE = re.compile(r'\\(["\\\]])')


class Message(NamedTuple):
    """A message in its parts; ``text`` without its byte order mark."""

    facility: int
    severity: int
    time: str
    host: str
    app: str
    process: str
    message_id: str
    sd_id: str
    params: dict
    text: str
    has_mark: bool


def read(message):
    """Give the parts of a message; raises where it breaks a rule."""
    header = HEADER.match(message)
    assert header, message[:200]
    priority, *rest = [each.decode() for each in header.groups()]
    assert int(priority) <= 191
    at = header.end()
    sd_id, params = "", {}
    if message[at : at + 1] == b"-":
        at += 1
    else:
        element = ELEMENT.match(message, at)
        assert element, message[at : at + 200]
        at = element.end()
        sd_id = element[1].decode()
        for name, value in re.findall(PARAM, element[2]):
            assert name.decode() not in params
            params[name.decode()] = ESCAPE.sub(r"\1", value.decode())
    text = message[at:]
    assert not text or text[:1] == b" ", text[:50]
    has_mark = text[1:4] == b"\xef\xbb\xbf"
    text = text[4 if has_mark else 1 :].decode()
    everything = text + "".join(params.values())
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", everything)
    facility, severity = divmod(int(priority), 8)
    return Message(facility, severity, *rest, sd_id, params, text, has_mark)


def frames(data):
    """Give the messages of a stream of counted frames, and what is left."""
    found = []
    while match := re.match(rb"([1-9][0-9]*) ", data):
        end = match.end() + int(match[1])
        if end > len(data):
            break
        found.append(data[match.end() : end])
        data = data[end:]
    return found, data


def _bind(sock, host, port):
    """Bind to a port; for 0 to one that no client gets as its own.

    A client that is given the port of a server that has gone talks to itself.
    """
    for _ in range(100):
        try:
            sock.bind((host, port or SystemRandom().randrange(20_000, 30_000)))
        except OSError:
            if port:
                raise
        else:
            return
    pytest.fail("no port is free")


class Server:
    """A syslog server in a block: ``udp``, ``tcp``, ``unix`` or ``unix-stream``.

    ``pause`` is seconds between the handshake and the first read, with a small window.
    ``mode`` is ``ok``, ``never_read`` or ``reset`` (at the first byte). ``frames`` gives the
    messages of a stream's bytes, and what is left of these.
    """

    def __init__(
        self,
        kind,
        path="",
        context=None,
        address=("127.0.0.1", 0),
        pause=0,
        frames=frames,
    ):
        self.kind, self.path, self.context = kind, str(path), context
        self.frames = frames
        self.messages, self.broken, self.connections, self.ended = [], [], 0, 0
        self.mode, self.pause = "ok", pause
        is_unix = kind.startswith("unix")
        is_stream = kind in ("tcp", "unix-stream")
        self.is_stream = is_stream
        self.socket = socket.socket(
            socket.AF_UNIX if is_unix else socket.AF_INET,
            socket.SOCK_STREAM if is_stream else socket.SOCK_DGRAM,
        )
        if not is_unix:
            if is_stream:  # two sockets of datagrams could share a port by it
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, 8192 if pause else 4 << 20
            )
        if is_unix:
            self.socket.bind(self.path)
        else:
            _bind(self.socket, *address)
        self.address = self.path or f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.stopping, self._stop = socket.socketpair()
        self.threads = []

    def __enter__(self):
        if self.is_stream:
            self.socket.listen()
        self._start(self._accept if self.is_stream else self._receive)
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.close()
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()
        self.socket.close()
        self.stopping.close()

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _is_readable(self, source):
        ready, _, _ = select.select([source, self.stopping], [], [])
        return self.stopping not in ready

    def _receive(self):
        while self._is_readable(self.socket):
            self.messages.append(self.socket.recv(1 << 17))

    def _accept(self):
        while self._is_readable(self.socket):
            peer, _ = self.socket.accept()
            self.connections += 1
            self._start(self._serve, peer)

    def _serve(self, peer):
        data = b""
        with peer:
            try:
                if self.context:
                    peer.settimeout(10)
                    peer = self.context.wrap_socket(peer, server_side=True)
                time.sleep(self.pause)
                while True:
                    if self.mode == "never_read":
                        self._is_readable(self.stopping)
                        return
                    pending = self.context and peer.pending()
                    if not pending and not self._is_readable(peer):
                        return
                    part = b"" if self.mode == "hang_up" else peer.recv(65536)
                    if not part:
                        break
                    found, data = self.frames(data + part)
                    self.messages += found
            except OSError as error:
                self.broken.append(error)
            finally:
                peer.close()
        if data:
            self.broken.append(data)
        self.ended += 1
