"""Generated names and values, where hypothesis is installed."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_SEPARATORS = "\n\r\t\x00 \"'\\,;:=|#@{}[]<>/.&%\ud800"
TEXTS = st.text(_SEPARATORS, max_size=8) | st.text(max_size=20)
NUMBERS = st.floats() | st.integers(-(2**70), 2**70)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=6,
)


def for_any(
    examples: int,
    check: Callable[[Any], None],
    values: st.SearchStrategy[Any],
) -> None:
    """Run a check for generated values.

    Args:
        examples: How many.
        check: What to run.
        values: Where they come from.
    """

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(values)
    def run(value: Any) -> None:
        check(value)

    run()
