"""HTTP answers: what is one, its bounds, and its body."""

import http.client
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from obs_exporters._http_answer import (
    CHUNK_LINE_BYTES,
    HEAD_BYTES,
    HEADER_LINES,
    Answer,
    AnswerReader,
    BadAnswer,
)

LIMIT = 1_000
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class Peer:
    """Gives bytes in pieces of a size, and notes how many were asked for."""

    def __init__(self, data: bytes, size: int = 1 << 20, end: Exception | None = None):
        self.stream = io.BytesIO(data)
        self.size = size
        self.end = end

    def receive(self, limit: int) -> bytes:
        data = self.stream.read(min(limit, self.size))
        if not data and self.end is not None:
            raise self.end
        return data


def read(data: bytes, size: int = 1 << 20, limit: int = LIMIT) -> tuple[Answer, bool]:
    reader = AnswerReader(Peer(data, size).receive, limit)
    return reader.read(), reader.keep


def refusal(data: bytes) -> str:
    with pytest.raises(BadAnswer) as error:
        read(data)
    return str(error.value)


@pytest.mark.parametrize("size", [1, 2, 3, 1 << 20])
@pytest.mark.parametrize(
    ("rest", "body", "keep"),
    [
        (b"Content-Length: 3\r\n\r\nabc", b"abc", True),
        (b"Content-Length: 0\r\n\r\n", b"", True),
        (b"Content-Length: 3, 3\r\n\r\nabc", b"abc", True),
        (b"Content-Length: 3\r\nContent-Length:3\r\n\r\nabc", b"abc", True),
        (b"content-LENGTH:\t 3 \t\r\n\r\nabc", b"abc", True),
        (b"Content-Length: 3\n\nabc", b"abc", True),
        (b"Content-Length: 3\r\nConnection: Close\r\n\r\nabc", b"abc", False),
        (b"Content-Length: 3\r\nConnection: keep-alive\r\n\r\nabc", b"abc", True),
        (b"\r\nabc", b"abc", False),
        (b"Transfer-Encoding: gzip, chunked\r\n\r\nabc", b"abc", False),
        (b"Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", b"", True),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc", True),
        (b"Transfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n02 \r\nbc\r\n0\r\nT: t\r\n\r\n",
         b"abc", True),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n1\r\na\r\n0\r\n\r\n",
         b"a", True),
    ],
)  # fmt: skip
def test_a_body_ends_where_its_framing_says(size, rest, body, keep):
    answer, is_kept = read(HEAD + rest, size)
    assert (answer.status, answer.body, is_kept) == (200, body, keep)


@pytest.mark.parametrize("status", [204, 304])
def test_these_have_no_body_whatever_their_length_says(status):
    head = f"HTTP/1.1 {status} None\r\nContent-Length: 5\r\n\r\n".encode()
    assert read(head) == (Answer(status, {"content-length": "5"}, b""), True)


@pytest.mark.parametrize(
    ("status_line", "keep"),
    [
        (b"HTTP/1.1 200 OK", True),
        (b"HTTP/1.1 200", True),
        (b"HTTP/1.1 200 ", True),
        (b"HTTP/1.1 299 \xff\xfe odd", True),
        (b"HTTP/1.0 200 OK", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive", True),
    ],
)
def test_a_status_line_may_look_like_this(status_line, keep):
    assert read(status_line + b"\r\nContent-Length: 0\r\n\r\n")[1] is keep


@pytest.mark.parametrize(
    "status_line",
    [
        b"", b"HTTP/2 200 OK", b"HTTP/1.2 200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000",
        b"HTTP/1.1 099 OK", b"HTTP/1.1  200 OK", b"http/1.1 200 OK", b"ICY 200 OK",
    ],
)  # fmt: skip
def test_what_is_no_status_line_is_refused(status_line):
    text = refusal(status_line + b"\r\n\r\n")
    assert text == f"the answer is not HTTP/1: {status_line!r}"


@pytest.mark.parametrize(
    "line", [b"no colon", b": v", b"a b: c", b" folded", b"a: \x00"]
)
def test_a_malformed_header_line_is_refused(line):
    text = refusal(HEAD + line + b"\r\n\r\n")
    assert text == f"a header line of the answer is malformed: {line!r}"


def test_headers_are_latin_1_by_lower_case_name():
    answer, _ = read(HEAD + b"X-A: \xe9\r\nx-a:2\r\nContent-Length: 0\r\n\r\n")
    assert answer.headers == {"x-a": "\xe9, 2", "content-length": "0"}


def assert_broken(head: bytes, rest: bytes, body: bytes) -> None:
    """Assert that of an answer with a broken body its status counts."""
    answer, keep = read(head + rest)
    assert (answer.status, answer.body, keep) == (200, body, False)


@pytest.mark.parametrize(
    "length", ["-1", "+1", "", "1, 2", "0x1", "\xb2", "1" * 19, "1 1"]
)
def test_after_a_length_that_is_none_no_body_is_read(length):
    assert_broken(HEAD, f"Content-Length: {length}\r\n\r\nabc".encode("latin-1"), b"")


@pytest.mark.parametrize("size", [b"", b"x", b"-1", b"1 1", b"1" * 16, b"0x1"])
def test_a_body_ends_where_a_chunk_has_no_size(size):
    assert_broken(CHUNKED, b"1\r\nb\r\n" + size + b"\r\na\r\n0\r\n\r\n", b"b")


def test_a_body_ends_where_a_chunk_is_longer_than_it_says():
    assert_broken(CHUNKED, b"1\r\nab\r\n0\r\n\r\n", b"a")


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"Content-Length: 3\r\n\r\n",
        CHUNKED,
        b"HTTP/1.1 100 C\r\n\r\n" + HEAD + b"Content-Length: 3\r\n\r\n",
    ],
)
def test_an_answer_that_ends_before_its_body_is_none(head):
    for end in range(len(head)):
        text = refusal(head[:end])
        assert text == "the connection was closed before the whole answer came"
    assert_broken(head, b"", b"")


def test_of_an_answer_that_ends_in_its_body_the_status_counts():
    whole = b"3\r\nabc\r\n0\r\nT: t\r\n\r\n"
    for end in range(len(whole)):
        assert_broken(CHUNKED, whole[:end], b"abc"[: max(end - 3, 0)])
    assert read(CHUNKED + whole) == (
        Answer(200, {"transfer-encoding": "chunked"}, b"abc"),
        True,
    )


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError()])
def test_a_status_is_enough_where_the_body_fails(error, status):
    data = f"HTTP/1.1 {status} S\r\nContent-Length: 9\r\n\r\nabc".encode()
    reader = AnswerReader(Peer(data, end=error).receive, LIMIT)
    assert reader.read() == Answer(status, {"content-length": "9"}, b"abc")
    assert not reader.keep


def test_the_lines_of_a_head_are_bounded_together():
    line = b"a: " + b"b" * 1_000 + b"\r\n"
    fits = HEAD_BYTES // len(line) - 1
    end = b"Content-Length: 0\r\n\r\n"
    assert read(HEAD + line * fits + end)[0].status == 200
    text = "the lines of the answer are too long"
    assert refusal(HEAD + line * (fits + 2) + end) == text
    assert refusal(b"HTTP/1.1 200 " + b"x" * HEAD_BYTES) == text
    assert_broken(CHUNKED, b"0\r\n" + line * (fits + 2) + b"\r\n", b"")
    interim = b"HTTP/1.1 103 E\r\n" + line * 20 + b"\r\n"
    assert refusal(interim * 4 + HEAD + end) == text


def test_the_number_of_header_lines_is_bounded():
    end = b"Content-Length: 0\r\n\r\n"
    assert read(HEAD + b"a: b\r\n" * (HEADER_LINES - 1) + end)[0].status == 200
    text = f"the answer has more than {HEADER_LINES} header lines"
    assert refusal(HEAD + b"a: b\r\n" * HEADER_LINES + end) == text


def test_interim_answers_without_headers_are_bounded():
    end = HEAD + b"Content-Length: 0\r\n\r\n"
    assert read(b"HTTP/1.1 100 C\r\n\r\n" * 100 + end)[0].status == 200
    text = "the lines of the answer are too long"
    assert refusal(b"HTTP/1.1 100 C\r\n\r\n" * 10_000 + end) == text


def test_the_line_of_a_chunk_is_bounded():
    good = b"1;" + b"x" * (CHUNK_LINE_BYTES - 4) + b"\r\n"
    assert len(good) == CHUNK_LINE_BYTES
    assert read(CHUNKED + good + b"a\r\n0\r\n\r\n")[0].body == b"a"
    assert_broken(CHUNKED, b"1;x" + good[2:] + b"a\r\n0\r\n\r\n", b"")


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, 50 * LIMIT])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_of_a_body_that_is_too_long_the_beginning_is_kept(size, framing):
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    data = {
        "length": HEAD + b"Content-Length: %d\r\n\r\n%b" % (size, body),
        "chunked": CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (size, body),
        "close": HEAD + b"\r\n" + body,
    }[framing]
    answer, keep = read(data)
    assert answer.body == body[:LIMIT]
    assert keep is (size <= LIMIT and framing != "close")


def test_of_a_body_that_is_too_long_the_rest_is_not_read():
    peer = Peer(HEAD + b"\r\n" + bytes(1 << 20), 1_000)
    AnswerReader(peer.receive, LIMIT).read()
    assert peer.stream.tell() < 5_000


def test_bytes_after_the_answer_end_the_connection():
    assert read(HEAD + b"Content-Length: 1\r\n\r\na")[1]
    assert not read(HEAD + b"Content-Length: 1\r\n\r\nab")[1]


class FakeSocket:
    def __init__(self, data: bytes):
        self.data = data

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self.data)


chunks = st.lists(st.binary(min_size=1, max_size=50), max_size=5)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
names = st.from_regex(r"x-[a-z0-9-]{1,10}", fullmatch=True)


@given(
    status=st.integers(200, 599),
    headers=st.dictionaries(names, values, max_size=5),
    parts=chunks,
    is_chunked=st.booleans(),
    size=st.integers(1, 50),
)
def test_http_client_reads_the_same(status, headers, parts, is_chunked, size):
    lines = [f"HTTP/1.1 {status} Reason", *(f"{k}: {v}" for k, v in headers.items())]
    if is_chunked and status not in (204, 304):  # http.client wants chunks there, too
        lines.append("Transfer-Encoding: chunked")
        body = (
            b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
            + b"0\r\n\r\n"
        )
    else:
        body = b"".join(parts)
        lines.append(f"Content-Length: {len(body)}")
    if status in (204, 304):
        body = b""
    data = "\r\n".join([*lines, "", ""]).encode() + body
    peer = http.client.HTTPResponse(FakeSocket(data), method="POST")
    peer.begin()
    answer, keep = read(data, size)
    assert answer.status == peer.status
    assert answer.body == peer.read()
    assert answer.headers == {k.lower(): v.strip() for k, v in peer.getheaders()}
    assert keep


@given(st.binary(max_size=200), st.integers(1, 20))
@example(b"HTTP/1.1 200 \n\n", 1)
def test_whatever_comes_it_is_an_answer_or_none(data, size):
    for start in (b"", HEAD, CHUNKED, HEAD + b"Content-Length: 20\r\n\r\n"):
        try:
            answer, _ = read(start + data, size, limit=10)
        except BadAnswer:
            continue
        assert 200 <= answer.status <= 999
        assert len(answer.body) <= 10
