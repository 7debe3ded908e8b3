"""``obs dashboards export``: files for Grafana and Prometheus."""

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from obs.cli import main
from obs.dashboards import files

APP = """\
from obs._obs import Obs
tel = Obs("checkout", runtime=False)
tel.counter("orders.placed", "Orders placed.", labels=("channel",))
class parts:
    tel = tel
number = 7
class Raises:
    @property
    def tel(self):
        raise ValueError("no settings")
raises = Raises()
"""


@pytest.fixture
def app(tmp_path, monkeypatch):
    """A module of an application, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield write(tmp_path, "shop_app", APP)
    for name in ("shop_app", "broken_app"):
        sys.modules.pop(name, None)


def write(folder, name, text):
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return f"{name}:tel"


def export(*arguments, out="out"):
    return main(
        ["dashboards", "export", "--for", "prometheus", "--out", out, *arguments]
    )


def test_the_general_files(tmp_path, capsys):
    out = tmp_path / "a" / "b"
    assert export(out=str(out)) == 0
    expected = files()
    written = {
        str(path.relative_to(out)): path.read_text("utf-8")
        for path in out.rglob("*")
        if path.is_file()
    }
    assert written == expected
    assert capsys.readouterr().out.splitlines() == [
        str(out / name) for name in expected
    ]


def test_the_files_of_an_application(app, tmp_path):
    assert export("--app", app) == 0
    own = json.loads((tmp_path / "out" / "own.json").read_text("utf-8"))
    assert own["title"] == "checkout: Own metrics"
    assert "orders_placed_total" in json.dumps(own)
    rules = (tmp_path / "out" / "rules.yml").read_text("utf-8")
    assert 'up{job="checkout"} == 0' in rules


def test_an_instance_may_stand_inside_of_something(app):
    assert export("--app", "shop_app:parts.tel", "--service", "checkout") == 0


def test_what_is_no_unicode_is_written_as_a_question_mark(app, tmp_path):
    text = APP.replace("checkout", "check\\udcff").replace("placed.", "\\udcff.")
    write(tmp_path, "broken_app", text)
    assert export("--app", "broken_app:tel") == 0
    own = json.loads((tmp_path / "out" / "own.json").read_text("utf-8"))
    assert own["title"] == "check?: Own metrics"


def test_a_folder_whose_name_cannot_be_printed(tmp_path, capsys):
    out = tmp_path / os.fsdecode(b"\xff\n")
    assert export(out=str(out)) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"{tmp_path}/\\udcff\\n/service.json"


def test_a_module_may_have_a_hyphen(app, tmp_path):
    write(tmp_path, "shop-app", APP)
    assert export("--app", "shop-app:tel") == 0
    del sys.modules["shop-app"]


def test_the_objective(tmp_path, app):
    assert export("--latency-objective", "0.25") == 0
    assert "p95_5m > 0.25" in (tmp_path / "out" / "rules.yml").read_text("utf-8")


def test_the_help_says_when_the_alert_tells(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["dashboards", "export", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "an alert tells when more than 5 of 100 calls take longer (default: 1)" in said
    )


def test_what_was_there_is_replaced(tmp_path, app):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "service.json").write_text("old")
    assert export() == 0
    assert json.loads((tmp_path / "out" / "service.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--for", "influx", "--out", "x"),
            "argument --for: there are no dashboards for 'influx', only for prometheus, "
            "influxdb, graphite",
        ),
        (("--for", "prometheus"), "the following arguments are required: --out"),
        (("--out", "x"), "the following arguments are required: --for"),
        (
            ("--for", "prometheus", "--out", ""),
            "argument --out: '' is no name of a folder",
        ),
        (
            ("--for", "prometheus", "--out", "x", "--service", ""),
            "argument --service: '' is no name of a service",
        ),
        (
            ("--for", "prometheus", "--out", "x", "--service", "a\nb"),
            "argument --service: 'a\\nb' is no name of a service",
        ),
        *[
            (
                ("--for", "prometheus", "--out", "x", "--latency-objective", seconds),
                f"argument --latency-objective: '{seconds}' is not a number of seconds "
                "above 0",
            )
            for seconds in ("0", "nan", "inf", "soon")
        ],
    ],
)
def test_a_wrong_argument_ends_with_code_2(arguments, says, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["dashboards", "export", *arguments])
    assert exit_.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"obs dashboards export: error: {says}"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--app", "shop_app"),
            "--app got 'shop_app', needs MODULE:NAME, such as shop:tel.",
        ),
        (
            ("--latency-objective", "10"),
            "dashboards: latency_objective got 10.0, needs a number of seconds above 0 "
            "and below 10, the last bound of operation.duration.",
        ),
        *[
            (("--app", app), f"--app got {app!r}, needs MODULE:NAME, such as shop:tel.")
            for app in ("", ":tel", "shop_app:", "./shop_app:tel", "shop_app:tel:x")
        ],
        (
            ("--app", "shop_app:raises.tel"),
            "--app shop_app:raises.tel: reading it raised ValueError: no settings",
        ),
        (
            ("--app", "no_such_app:tel"),
            "--app no_such_app:tel: importing it raised ModuleNotFoundError: No module "
            "named 'no_such_app'",
        ),
        (
            ("--app", "shop_app:nothing"),
            "--app shop_app:nothing: module 'shop_app' has no attribute 'nothing'.",
        ),
        (
            ("--app", "shop_app:number"),
            "--app shop_app:number: that is a int, needs an Obs.",
        ),
        (
            ("--app", "shop_app:tel", "--service", "nobody"),
            "--service nobody: there is no data of it in shop_app:tel, which is the "
            "service 'checkout'. Leave --service out, or name the other application.",
        ),
    ],
)
def test_what_cannot_be_exported_ends_with_code_2(
    arguments, says, app, capsys, tmp_path
):
    assert export(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.err == f"obs dashboards export: {says}\n"
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit('usage: no')", "SystemExit: usage: no"),
        ("None.x", "AttributeError: 'NoneType' object has no attribute 'x'"),
        ("raise ValueError('a\\x1b[31m')", "ValueError: a\\x1b[31m"),
    ],
)
def test_an_application_that_cannot_be_imported(text, says, app, tmp_path, capsys):
    write(tmp_path, "broken_app", text)
    assert export("--app", "broken_app:tel") == 2
    said = capsys.readouterr().err
    assert said == (
        f"obs dashboards export: --app broken_app:tel: importing it raised {says}\n"
    )


def test_a_folder_that_is_a_file(tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert export(out=str(tmp_path / "out")) == 2
    said = capsys.readouterr().err
    assert said == f"obs dashboards export: {tmp_path / 'out'}: File exists.\n"


def test_a_folder_that_may_not_be_written(tmp_path, capsys, monkeypatch):
    def refuse(path, *args, **named):  # root may write everywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    assert export(out=str(tmp_path / "out")) == 2
    path = tmp_path / "out" / "service.json"
    said = capsys.readouterr().err
    assert said == f"obs dashboards export: {path}: Permission denied.\n"


def test_a_folder_that_cannot_be_made(capsys):
    assert export(out="/dev/null/x") == 2
    said = capsys.readouterr().err
    assert said == "obs dashboards export: /dev/null/x: Not a directory.\n"
