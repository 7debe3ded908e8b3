"""The contract of push exporters, over each way to a syslog server."""

import contextlib
import os
import tempfile

from obs.testing.contract import ExporterContract, Log, Rig
from obs_exporters import SyslogExporter, Tls
from tests.exporters.syslog.reader import Server, read
from tests.faults.certificates import authority, server_context

MODES = {"silent": "never_read", "close": "hang_up"}


def arrived(server):
    found = []
    for message in list(server.messages) + server.broken:
        try:
            parts = read(message)
        except (AssertionError, TypeError, UnicodeError):
            found.append(message)
        else:
            found.append(Log(parts.text, parts.params))
    return found


class OverSockets(ExporterContract):
    kind = protocol = ""

    def make(self):
        stack = contextlib.ExitStack()
        server = self.serve(stack)

        def break_backend(mode):
            if mode == "refuse":
                stack.pop_all().close()
            elif mode in MODES and server.is_stream:
                server.mode = MODES[mode]
            else:
                raise NotImplementedError

        return Rig(
            build=lambda: self.exporter(server),
            received=lambda: arrived(server),
            close=stack.close,
            break_backend=break_backend,
        )

    def serve(self, stack):
        return stack.enter_context(Server(self.kind))

    def exporter(self, server):
        return SyslogExporter(server.address, protocol=self.protocol)


class TestUdp(OverSockets):
    kind = protocol = "udp"


class TestTcp(OverSockets):
    kind = protocol = "tcp"


class TestTls(OverSockets):
    kind = "tcp"

    def serve(self, stack):
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        self.ca_file = os.path.join(folder, "ca.pem")
        authority("known").cert_pem.write_to_path(self.ca_file)
        return stack.enter_context(Server("tcp", context=server_context("good")))

    def exporter(self, server):
        return SyslogExporter(server.address, protocol="tls", tls=Tls(self.ca_file))


class OverUnix(OverSockets):
    protocol = "unix"

    def serve(self, stack):
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        return stack.enter_context(Server(self.kind, os.path.join(folder, "log")))


class TestUnixDatagrams(OverUnix):
    kind = "unix"


class TestUnixStream(OverUnix):
    kind = "unix-stream"
