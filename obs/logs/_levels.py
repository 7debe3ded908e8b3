"""Which records of which loggers are made."""

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from obs.errors import DefinitionError, shown
from obs.model import Level

NUMBERS: dict[Level, int] = {
    "trace": 5,
    "debug": 10,
    "info": 20,
    "warning": 30,
    "error": 40,
    "critical": 50,
}
"""Each level's number, as the standard library has them."""
OFF = 100
BY_NAME: Mapping[str, int] = {str(k): v for k, v in NUMBERS.items()} | {"off": OFF}
"""The same, for any text."""
_ALIASES = {"warn": "warning", "fatal": "critical"}
_MOST_RULES = 1_000


def level_number(what: str, level: object) -> int:
    """Give a level's number.

    Raises:
        DefinitionError: It is no level.
    """
    if isinstance(level, str):
        word = level.lower()
        found = BY_NAME.get(_ALIASES.get(word, word))
        if found is not None:
            return found
    text = f"{what} got {shown(level)}, needs one of {', '.join(BY_NAME)}."
    raise DefinitionError(text)


def level_of(number: int) -> Level:
    """Give the level that a number of the standard library's is shown as."""
    found: Level = "trace"
    for level, least in NUMBERS.items():
        if number >= least:
            found = level
    return found


class Rule(NamedTuple):
    """What was said about the loggers of a pattern.

    Attributes:
        pattern: Of their names.
        least: The number of the lowest level that is made.
        until: When it ends, by the monotonic clock, in ns; None: never.
    """

    pattern: str
    least: int
    until: int | None


class Levels:
    """The rules of one instance. The newest that fits a name counts, until it ends.

    Threads: one call of ``set`` at a time, the others at any moment.

    Args:
        least: The number of the lowest level where no rule fits.
        now: The monotonic clock, in ns.

    Attributes:
        rules: What was said, the newest last; another tuple after each ``set``.
    """

    def __init__(self, least: int, now: Callable[[], int]) -> None:
        self._now = now
        self.rules: tuple[Rule, ...] = (Rule("*", least, None),)

    def set(self, pattern: str, level: str, for_seconds: float | None) -> None:
        """Add a rule; see ``Logs.set_level``."""
        if not isinstance(pattern, str) or not pattern:
            text = (
                f"set_level: the pattern got {shown(pattern)}, needs a logger's name such "
                "as 'db.pool', or a pattern such as 'db.*'."
            )
            raise DefinitionError(text)
        least = level_number("set_level: the level", level)
        until = None if for_seconds is None else self._now() + _ns(for_seconds)
        # What never ends hides all that was said before about the same pattern.
        kept = [
            rule
            for rule in self._living()
            if rule.pattern != pattern or (until is not None and rule.until is None)
        ]
        if len(kept) >= _MOST_RULES:
            text = f"set_level: there are {_MOST_RULES} patterns already."
            raise DefinitionError(text)
        self.rules = (*kept, Rule(pattern, least, until))

    def least(self, name: str) -> tuple[int, int | None]:
        """Give the number of the lowest level of a logger, and when to ask again."""
        for rule in reversed(tuple(self._living())):
            if _fits(name, rule.pattern):
                return rule.least, rule.until
        return OFF, None

    def _living(self) -> Iterator[Rule]:
        now = self._now()
        return (it for it in self.rules if it.until is None or now < it.until)


def _fits(name: str, pattern: str) -> bool:
    """Whether a name fits; ``db.*`` means ``db`` too, as trees of loggers have it."""
    is_root = pattern.endswith(".*") and name == pattern[:-2]
    return is_root or fnmatchcase(name, pattern)


def _ns(seconds: object) -> int:
    is_number = type(seconds) in {int, float}
    if not is_number or not 0 < seconds < 10**9:  # type: ignore[operator]
        text = f"set_level: for_seconds got {shown(seconds)}, needs seconds above 0."
        raise DefinitionError(text)
    return int(seconds * 10**9)  # type: ignore[operator]
