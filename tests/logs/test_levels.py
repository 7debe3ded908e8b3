import pytest

from obs import DefinitionError
from obs.logs._levels import NUMBERS, OFF, Levels, level_number, level_of
from obs.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def levels(clock):
    return Levels(NUMBERS["info"], clock.monotonic_ns)


def least(levels, name):
    return levels.least(name)[0]


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("trace", 5),
        ("debug", 10),
        ("INFO", 20),
        ("warn", 30),
        ("fatal", 50),
        ("off", OFF),
    ],
)
def test_levels_are_words(word, number):
    assert level_number("x", word) == number


@pytest.mark.parametrize("bad", ["loud", "", None, 20, b"info"])
def test_what_is_no_level_is_refused(bad):
    with pytest.raises(DefinitionError) as raised:
        level_number("Logs: level", bad)
    assert str(raised.value) == (
        f"Logs: level got {bad!r}, needs one of trace, debug, info, warning, error, "
        "critical, off."
    )


@pytest.mark.parametrize(
    ("number", "level"),
    [
        (-1, "trace"),
        (0, "trace"),
        (9, "trace"),
        (10, "debug"),
        (25, "info"),
        (99, "critical"),
    ],
)
def test_a_number_counts_as_the_level_that_it_reaches(number, level):
    assert level_of(number) == level


def test_where_nothing_was_said_the_default_counts(levels):
    assert least(levels, "any") == NUMBERS["info"]


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("db", ["db"], ["db.pool", "dbx", ""]),
        ("db.*", ["db", "db.pool", "db.pool.x"], ["dbx", "a.db"]),
        ("*.pool", ["db.pool"], ["pool", "db.pools"]),
        ("*", ["", "db", "db.pool"], []),
        ("[ab]", ["a", "b"], ["c", "[ab]"]),
        ("DB", ["DB"], ["db"]),
    ],
)
def test_patterns(levels, pattern, fits, does_not):
    levels.set(pattern, "error", None)
    assert [least(levels, name) for name in fits] == [40] * len(fits)
    assert [least(levels, name) for name in does_not] == [20] * len(does_not)


def test_the_newest_pattern_that_fits_counts(levels):
    levels.set("db.pool", "debug", None)
    levels.set("db.*", "error", None)
    assert least(levels, "db.pool") == 40
    levels.set("db.pool", "debug", None)
    assert (least(levels, "db.pool"), least(levels, "db.x")) == (10, 40)


def test_what_is_said_for_a_time_ends(levels, clock):
    levels.set("db.*", "debug", 60)
    end = clock.monotonic_ns() + 60 * 10**9
    assert levels.least("db.x") == (10, end)
    assert levels.least("web") == (20, None)
    clock.advance(59.9)
    assert least(levels, "db.x") == 10
    clock.advance(0.1)
    assert levels.least("db.x") == (20, None)


def test_what_is_said_meanwhile_counts_at_once_and_afterwards(levels, clock):
    levels.set("db.*", "debug", 60)
    levels.set("db.*", "error", None)
    assert levels.least("db.x") == (40, None)
    levels.set("db.*", "trace", 10)
    assert least(levels, "db.x") == 5
    clock.advance(10)
    assert least(levels, "db.x") == 40


def test_the_same_patterns_again_and_again_stay_one(levels):
    for _ in range(5_000):
        levels.set("db.*", "error", None)
        levels.set("web.*", "debug", None)
    assert (least(levels, "db.x"), least(levels, "web.x")) == (40, 10)


def test_there_may_be_a_thousand_patterns(levels, clock):
    for n in range(999):
        levels.set(f"n{n}", "debug", 60)
    with pytest.raises(DefinitionError) as raised:
        levels.set("one more", "debug", None)
    assert str(raised.value) == "set_level: there are 1000 patterns already."
    clock.advance(60)
    levels.set("one more", "debug", None)


@pytest.mark.parametrize("bad", ["", None, 5])
def test_a_pattern_is_text(levels, bad):
    with pytest.raises(DefinitionError) as raised:
        levels.set(bad, "info", None)
    assert str(raised.value) == (
        f"set_level: the pattern got {bad!r}, needs a logger's name such as 'db.pool', "
        "or a pattern such as 'db.*'."
    )


@pytest.mark.parametrize("bad", [0, -1, "60", True, float("nan"), float("inf"), 10**10])
def test_a_time_is_seconds(levels, bad):
    with pytest.raises(DefinitionError) as raised:
        levels.set("db", "info", bad)
    assert (
        str(raised.value)
        == f"set_level: for_seconds got {bad!r}, needs seconds above 0."
    )
    assert levels.least("db") == (20, None)
