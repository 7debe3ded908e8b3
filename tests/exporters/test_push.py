"""The common keywords of push exporters."""

import pytest

from obs.errors import DefinitionError
from obs_exporters._push import check_push

GOOD = {"interval": 10.0, "timeout": 5, "signals": ("metrics",)}


def test_the_signals_come_back_as_a_set():
    assert check_push("x", **GOOD) == {"metrics"}
    assert check_push("x", **GOOD | {"signals": "traces"}) == {"traces"}


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (
            {"interval": 0},
            "exporter 'x': interval got 0, needs seconds from 0.01 to 86400.",
        ),
        (
            {"interval": True},
            "exporter 'x': interval got True, needs seconds from 0.01 to 86400.",
        ),
        (
            {"timeout": float("nan")},
            "exporter 'x': timeout got nan, needs seconds from 0.01 to 86400.",
        ),
        (
            {"signals": ()},
            "exporter 'x': signals got (), needs some of metrics, logs.",
        ),
        (
            {"signals": 5},
            "exporter 'x': signals got 5, needs some of metrics, logs.",
        ),
        (
            {"signals": ("traces",)},
            "exporter 'x': signals got ('traces',), needs some of metrics, logs.",
        ),
    ],
)
def test_what_breaks_a_rule_raises(changed, text):
    with pytest.raises(DefinitionError) as error:
        check_push("x", **GOOD | changed, possible=("metrics", "logs"))
    assert str(error.value) == text


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_name_is_a_text(name):
    with pytest.raises(DefinitionError) as error:
        check_push(name, **GOOD)
    assert str(error.value) == f"exporter {name!r}: name got {name!r}, needs a text."
