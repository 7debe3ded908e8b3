"""Writing to file objects of others."""

import io
import sys

import pytest

from obs.errors import DefinitionError, ExportFailed
from obs_exporters._stream import check_stream, is_binary, write_stream


def test_what_cannot_be_written_to_is_refused():
    check_stream("x", "stream", io.StringIO())
    with pytest.raises(DefinitionError) as error:
        check_stream("x", "stream", "a path")
    assert str(error.value) == "exporter 'x': stream got 'a path', needs a file object."


def test_what_takes_bytes(tmp_path):
    class Tagged:
        def __init__(self, mode):
            self.mode = mode

    with (tmp_path / "x").open("wb") as buffered, (tmp_path / "x").open("wb", 0) as raw:
        for stream in (buffered, raw, io.BytesIO(), Tagged("rb+")):
            assert is_binary(stream)
    with (tmp_path / "x").open("w", encoding="utf-8") as text:
        for stream in (
            text,
            io.StringIO(),
            sys.stdout,
            Tagged("w"),
            Tagged(5),
            object(),
        ):
            assert not is_binary(stream)


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-8", "é日".encode()),
        ("latin-1", b"??"),
        ("ascii", b"??"),
        ("utf-16-le", None),
    ],
)
def test_a_text_is_escaped_where_the_encoding_lacks_some_of_it(encoding, written):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    write_stream("x", stream, "é日", lambda text: "?" * len(text))
    assert raw.getvalue() == (written or "é日".encode(encoding))


def test_an_encoding_that_nobody_knows_gets_ascii():
    class Odd(io.StringIO):
        encoding = "klingon"

    stream = Odd()
    write_stream("x", stream, "é", lambda text: "?")
    assert stream.getvalue() == "?"


def test_a_detached_stream_fails_the_export():
    stream = io.TextIOWrapper(io.BytesIO())
    stream.detach()
    with pytest.raises(ExportFailed) as error:
        write_stream("x", stream, "a", str)
    assert str(error.value) == (
        "exporter 'x': writing failed: "
        "ValueError('underlying buffer has been detached')."
    )
    assert (error.value.retryable, error.value.sent) == (False, True)
