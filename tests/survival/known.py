"""What line injection finds and is known, with the reason; all else is a failure."""

import re
from typing import NamedTuple

from tests.survival.calls import IN_FLIGHT
from tests.survival.injection import Finding


class Known(NamedTuple):
    """Findings that have one cause.

    Attributes:
        modes: In which modes.
        cells: With which cells; all when empty.
        pattern: What their text has in it.
        why: The cause.
    """

    modes: tuple[str, ...]
    cells: str
    pattern: str
    why: str

    def where(self, mode: str, cells: str) -> bool:
        """Whether it is to be found there."""
        return mode in self.modes and self.cells in ("", cells)

    def explains(self, finding: Finding) -> bool:
        """Whether this is one of them."""
        return re.search(self.pattern, str(finding)) is not None


GAUGE = "|".join(name.replace(".", r"\.") for name in IN_FLIGHT)
AROUND = (
    "call|enter|exit|leave|may_set|_here|_swap|_swap_where_set|_is_around|_claim|__init__|"
    "__enter__|__exit__|__aenter__|__aexit__|_first_step"
)
"""What makes spans current, and others again."""
KNOWN = [
    Known(
        ("raise",),
        "",
        rf": ({GAUGE}) is 1, not 0$",
        "an exception between the lines that count up or down is not made good",
    ),
    Known(
        ("fork",),
        "",
        rf": in the child: ({GAUGE}) is -?1, not 0$",
        "a fork, on the same thread, between the lines that count up or down",
    ),
    Known(
        ("raise",),
        "",
        rf"\(({AROUND})\), called .*: a span stayed current$",
        "an exception between the lines that make a span current, or no longer, is not "
        "made good",
    ),
    Known(
        ("raise",),
        "",
        r"_first_step(?s:.*)an event loop lost its hooks",
        "only a tracer gets between the end of a try and the first call of its finally: "
        "the interpreter polls for signals after calls",
    ),
]
