"""Where the HTTP client posts to, and its headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.errors import DefinitionError
from obs_exporters._http_target import check_headers, check_url, wrong_header


@pytest.mark.parametrize(
    ("url", "secure", "host", "port", "path", "host_header"),
    [
        ("http://h", False, "h", 80, "/", "h"),
        ("https://h", True, "h", 443, "/", "h"),
        ("HTTPS://Ex-Ample.Test:8080/A/b", True, "ex-ample.test", 8080, "/A/b",
         "Ex-Ample.Test:8080"),
        ("http://127.0.0.1:4318/", False, "127.0.0.1", 4318, "/", "127.0.0.1:4318"),
        ("http://[::1]:65535/x", False, "::1", 65535, "/x", "[::1]:65535"),
        ("http://u:p@h:1", False, "h", 1, "/", "h:1"),
    ],
)  # fmt: skip
def test_a_url_is_taken_apart(url, secure, host, port, path, host_header):
    got = check_url("x", url)
    assert (got.secure, got.host, got.port, got.path) == (secure, host, port, path)
    assert got.headers["host"] == host_header
    assert "@" not in got.url
    assert ("authorization" in got.headers) is ("@" in url)


@pytest.mark.parametrize(
    ("user", "authorization"),
    [("u:p", "dTpw"), ("u", "dTo="), (":p", "OnA="), ("u:", "dTo="), ("u:p:q", "dTpwOnE="),
     ("u%40:%2F", "dUA6Lw=="), ("a@b:p", "YUBiOnA=")],
)  # fmt: skip
def test_user_and_password_are_decoded_and_hidden(user, authorization):
    got = check_url("x", f"http://{user}@h/in")
    assert got.headers["authorization"] == f"Basic {authorization}"
    assert got.url == "http://h/in"


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("ftp://h", "'ftp://h'"),
        ("127.0.0.1:4318", "'127.0.0.1:4318'"),
        ("http://", "'http://'"),
        ("http://:80", "'http://:80'"),
        ("http://h:0", "'http://h:0'"),
        ("http://h:65536", "'http://h:65536'"),
        ("http://h:x", "'http://h:x'"),
        ("http://[::1", "'http://[::1'"),
        ("http://a b", "'http://a b'"),
        ("http://h/\r\nX: y", r"'http://h/\r\nX: y'"),
        ("http://h/\t", r"'http://h/\t'"),
        ("http://höst", "'http://höst'"),
        ("http://h/?a=b", "'http://h/?a=b'"),
        ("http://h/#a", "'http://h/#a'"),
        ("http://user:secret@h:x", "'***@h:x'"),
        ("user:secret@h", "'***@h'"),
        ("http://user:sec/ret@h", "'***@h'"),
        (b"http://h", "b'http://h'"),
        (None, "None"),
    ],
)
def test_a_url_that_is_none_raises(url, seen):
    with pytest.raises(DefinitionError) as error:
        check_url("x", url)
    assert str(error.value) == (
        f"exporter 'x': url got {seen}, needs http:// or https://, a host, and no "
        "query or fragment, in ASCII."
    )


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        (5, "headers got <class 'int'>, needs a mapping of texts"),
        ({5: "a"}, "headers got <class 'dict'>, needs a mapping of texts"),
        ({"": "a"}, "header '' is no name of a header"),
        ({"a:": "b"}, "header 'a:' is no name of a header"),
        ({"a\r\nb": "c"}, r"header 'a\r\nb' is no name of a header"),
        ({"Content-Length": "5"}, "header 'content-length' is the client's own"),
        (
            {"Transfer-Encoding": "x"},
            "header 'transfer-encoding' is the client's own",
        ),
        ({"Connection": "close"}, "header 'connection' is the client's own"),
        *(
            (
                {"X-Key": value},
                "the value of header 'x-key' needs to be text in latin-1 without line "
                "breaks or other control characters",
            )
            for value in ("a\r\nb", "a\nb", "a\x00b", "\u20ac", 5, None, b"a")
        ),
    ],
)
def test_fixed_headers_that_break_a_rule_raise(headers, text):
    with pytest.raises(DefinitionError) as error:
        check_headers("x", headers)
    assert str(error.value) == f"exporter 'x': {text}."


def test_fixed_headers_are_kept_as_they_were():
    headers = {"X-Key": "a\xe9"}
    found = check_headers("x", headers)
    headers["X-Key"] = "b\r\n"
    assert found == {"x-key": "a\xe9"}


@given(st.text())
def test_no_text_raises_but_as_a_definition(text):
    for url in (text, f"http://{text}", f"https://h{text}"):
        try:
            got = check_url("x", url)
        except DefinitionError:
            continue
        assert got.host
        assert 0 < got.port < 65536
        assert got.path.startswith("/")


@given(
    st.text(st.characters(max_codepoint=300)), st.text(st.characters(max_codepoint=300))
)
def test_what_passes_as_a_header_makes_one_line(name, value):
    if not wrong_header([(name, value)]):
        line = f"{name}: {value}".encode("latin-1")
        assert len(line.splitlines()) == 1
        assert line.partition(b":")[0] == name.encode()
