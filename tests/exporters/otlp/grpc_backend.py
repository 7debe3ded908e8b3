"""A gRPC server of the three services, which answers as a test wants."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status


class Call(NamedTuple):
    """What came."""

    method: str
    metadata: dict[str, str]
    body: bytes
    seconds: float


class Backend(grpc.GenericRpcHandler):
    """Answers by ``answer(call, context)``; in a block it listens on 127.0.0.1.

    Args:
        credentials: Of a server with TLS.
    """

    def __init__(self, credentials=None):
        self.calls = []
        self.answer = lambda call, context: b""
        self._pool = ThreadPoolExecutor(4)
        self._server = grpc.server(self._pool, [self])
        address = "127.0.0.1:0"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)
        scheme = "http" if credentials is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._server.stop(0).wait()
        self._pool.shutdown()

    def service(self, details):
        metadata = dict(details.invocation_metadata)

        def handle(body, context):
            call = Call(details.method, metadata, body, context.time_remaining())
            self.calls.append(call)
            return self.answer(call, context)

        return grpc.unary_unary_rpc_method_handler(handle)


def abort(code, details="", *, seconds=None, nanos=0):
    """Give an answer: this code, with RetryInfo where there are seconds."""
    trailing = ()
    if seconds is not None:
        status = Status(code=code.value[0], message=details)
        packed = Any()
        packed.Pack(RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos)))
        status.details.append(packed)
        trailing = (("grpc-status-details-bin", status.SerializeToString()),)

    def answer(call, context):
        context.set_trailing_metadata(trailing)
        context.abort(code, details)

    return answer
