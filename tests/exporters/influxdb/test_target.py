"""Where points go and as whom, of arguments."""

from types import SimpleNamespace

import pytest

from obs.errors import DefinitionError
from obs_exporters.influxdb._target import check_login, check_target, login_of

URL = "http://127.0.0.1:8086"


def target(bucket="", org="", database="", retention_policy=""):
    return check_target("i", bucket, org, database, retention_policy)


def login(url=URL, token=None, username=None, password=None):
    return check_login("i", url, token, username, password)


@pytest.mark.parametrize(
    ("arguments", "path", "parameters", "shown"),
    [
        (
            {"bucket": "b", "org": "o"},
            "/api/v2/write",
            {"org": "o", "bucket": "b", "precision": "ns"},
            "bucket='b', org='o'",
        ),
        (
            {"bucket": "b/é"},
            "/api/v2/write",
            {"bucket": "b/é", "precision": "ns"},
            "bucket='b/é'",
        ),
        ({"database": "d"}, "/write", {"db": "d", "precision": "ns"}, "database='d'"),
        (
            {"database": "d", "retention_policy": "r"},
            "/write",
            {"db": "d", "rp": "r", "precision": "ns"},
            "database='d', retention_policy='r'",
        ),
    ],
)
def test_a_bucket_or_a_database(arguments, path, parameters, shown):
    found = target(**arguments)
    assert (found.path, found.parameters, found.shown) == (path, parameters, shown)
    assert found.is_bucket == ("bucket" in arguments)


@pytest.mark.parametrize(
    ("status", "bucket", "database"),
    [
        (
            403,
            "Check that who writes may write to bucket='b', org='o'.",
            "Check that who writes may write to database='d'.",
        ),
        (
            404,
            "Check the url, and that there is bucket='b', org='o'; before 1.8, give "
            "database= instead.",
            "Check the url, and that there is database='d'.",
        ),
        (400, "", ""),
    ],
)
def test_what_to_look_at_after_a_refusal(status, bucket, database):
    assert target(bucket="b", org="o").hint(status) == bucket
    assert target(database="d").hint(status) == database


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {},
            "exporter 'i': bucket got '' and database got '', needs one of them: a bucket "
            "for the v2 API, a database for the /write of 1.x.",
        ),
        (
            {"bucket": "b", "database": "d"},
            "exporter 'i': bucket got 'b' and database got 'd', needs one of them: a "
            "bucket for the v2 API, a database for the /write of 1.x.",
        ),
        (
            {"database": "d", "org": "o"},
            "exporter 'i': org got 'o', needs a bucket= beside it.",
        ),
        (
            {"bucket": "b", "retention_policy": "r"},
            "exporter 'i': retention_policy got 'r', needs a database= beside it.",
        ),
        (
            {"bucket": None},
            "exporter 'i': bucket got None, needs a printable text.",
        ),
        (
            {"bucket": "b", "org": "\ud800"},
            "exporter 'i': org got '\\ud800', needs a printable text.",
        ),
    ],
)
def test_a_target_that_breaks_a_rule_raises(arguments, text):
    with pytest.raises(DefinitionError) as error:
        target(**arguments)
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (
            {"token": "t-1=="},
            ({"authorization": "Token t-1=="}, ("t-1==",), "Check token=."),
        ),
        (
            {"username": "me", "password": "pä:s"},
            (
                {"authorization": "Basic bWU6cMOkOnM="},
                ("bWU6cMOkOnM=", "pä:s"),
                "Check username= and password=.",
            ),
        ),
        (
            {"username": "me", "password": ""},
            (
                {"authorization": "Basic bWU6"},
                ("bWU6",),
                "Check username= and password=.",
            ),
        ),
        (
            {"url": "http://me:p%40s@h"},
            ({}, ("p@s",), "Check the user in the url."),
        ),
        ({"url": "http://me@h"}, ({}, (), "Check the user in the url.")),
        ({}, ({}, (), "Give token=, or username= and password=.")),
    ],
)
def test_who_writes(arguments, found):
    assert tuple(login(**arguments)) == found


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"token": "se cret"},
            "exporter 'i': token got ***, needs visible ASCII.",
        ),
        ({"token": "secret\n"}, "exporter 'i': token got ***, needs visible ASCII."),
        ({"token": "sécret"}, "exporter 'i': token got ***, needs visible ASCII."),
        ({"token": ""}, "exporter 'i': token got ***, needs visible ASCII."),
        ({"token": 5}, "exporter 'i': token got 5, needs visible ASCII."),
        (
            {"username": "me", "password": "se\ncret"},
            "exporter 'i': password got ***, needs a printable text.",
        ),
        (
            {"username": "me"},
            "exporter 'i': password got None, needs a printable text.",
        ),
        (
            {"username": "m:e", "password": "secret"},
            "exporter 'i': username got 'm:e', needs a printable text without a colon.",
        ),
        (
            {"password": "secret"},
            "exporter 'i': username got None, needs a printable text without a colon.",
        ),
        (
            {"token": "secret", "username": "me", "password": "secret"},
            "exporter 'i': got more than one of token=, username= with password=, and a "
            "user in the url. Leave one.",
        ),
        (
            {"token": "secret", "url": "http://me:secret@h"},
            "exporter 'i': got more than one of token=, username= with password=, and a "
            "user in the url. Leave one.",
        ),
    ],
)
def test_a_login_that_breaks_a_rule_raises_without_the_secret(arguments, text):
    with pytest.raises(DefinitionError) as error:
        login(**arguments)
    assert str(error.value) == text


def test_the_secrets_of_a_client_are_known():
    client = SimpleNamespace(
        token="me:secret",
        auth_header_value="Basic bWU6c2VjcmV0",
        conf=SimpleNamespace(password=None),
    )
    assert tuple(login_of(client)) == (
        {},
        ("bWU6c2VjcmV0", "me:secret"),
        "Check the client's token.",
    )
    client = SimpleNamespace(
        token=None, auth_header_value=None, conf=SimpleNamespace(password="p")
    )
    assert login_of(client).secrets == ("p",)
