"""What a backend says, written by the generated classes."""

import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from obs_exporters.otlp._answers import partial_success, retry_delay, status_message
from tests.exporters.otlp.oracle import RESPONSES


def written(signal, rejected, message):
    kind, field = RESPONSES[signal]
    answer = kind()
    setattr(answer.partial_success, field, rejected)
    answer.partial_success.error_message = message
    return answer.SerializeToString()


@pytest.mark.parametrize("signal", RESPONSES)
@pytest.mark.parametrize("rejected", [1, 300, 2**40])
def test_a_partial_success_is_read(signal, rejected):
    assert partial_success(written(signal, rejected, "żółć")) == (rejected, "żółć")


@pytest.mark.parametrize("signal", RESPONSES)
def test_a_full_success_refuses_nothing(signal):
    assert partial_success(RESPONSES[signal][0]().SerializeToString()) == (0, "")
    assert partial_success(written(signal, 0, "")) == (0, "")
    assert partial_success(written(signal, 0, "careful")) == (0, "careful")


def test_a_negative_count_refuses_nothing():
    assert partial_success(written("traces", -5, "")) == (0, "")


@pytest.mark.parametrize(
    "body",
    [
        b"OK",
        b"{}",
        b'{"partialSuccess":{"rejectedSpans":"3"}}',
        b"<html>",
        b"\n",
        b"\x0a\x05\x08",
        b"\x08" + b"\xff" * 11,
        b"\x1f\x8b\x08\x00",
        b"\x0a\x02\x0b\x0c",
        b"\x0a\x09\x08\x03\x12\x05why",  # cut
    ],
)
def test_what_cannot_be_read_is_a_full_success(body):
    assert partial_success(body) == (0, "")


def test_fields_that_are_not_known_are_skipped():
    body = written("logs", 3, "why")
    more = b"\x10\x05" + b"\x1d\1\2\3\4" + b"\x21\1\2\3\4\5\6\7\x08" + b"\x2a\x01x"
    assert partial_success(more + body) == (3, "why")


@given(st.binary(max_size=60))
def test_no_bytes_raise(data):
    assert partial_success(data) >= (0, "")
    assert (retry_delay(data) or 0) >= 0


def details(*messages):
    status = Status(code=8, message="full")
    for message in messages:
        packed = Any()
        packed.Pack(message)
        status.details.append(packed)
    return status.SerializeToString()


def wait(seconds, nanos=0):
    return RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos))


@pytest.mark.parametrize(
    ("data", "delay"),
    [
        (details(wait(3, 500_000_000)), 3.5),
        (details(ErrorInfo(reason="x"), wait(7)), 7.0),
        (details(RetryInfo()), 0.0),
        (details(wait(-5)), 0.0),
        (details(), None),
        (details(ErrorInfo(reason="x")), None),
        (b"", None),
        (b"junk", None),
    ],
)
def test_a_delay_is_read(data, delay):
    assert retry_delay(data) == delay


def test_the_message_of_a_status_is_read():
    assert status_message(details(wait(3))) == b"full"
    assert status_message(Status(code=3).SerializeToString()) == b"\x08\x03"
    assert status_message(b"not found") == b"not found"
