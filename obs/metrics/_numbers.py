"""Which numbers are recorded: exact ``int`` and ``float``, finite."""

from obs._foreign import is_the_hosts

INFINITE = float("inf")
EXACT_INT = 2**53
"""Above this an int is recorded as a float: sums of ints cannot grow without bound."""
LOWEST_INT = -EXACT_INT
ONE = 1
"""The default amount: an identity test with it is the cheapest way to know it."""


_TEXT = (str, bytes, bytearray)


def exact_number(value: object) -> int | float | None:
    """Give a number as an exact ``int`` or ``float``, or None for what is none.

    Subclasses, ``bool``, ``Decimal``, ``Fraction`` and numpy's scalars are converted. Text
    is no number, nor is NaN or an infinity. A foreign ``__float__`` runs here, and what it
    raises makes it no number.
    """
    try:
        if isinstance(value, _TEXT):
            return None
        if isinstance(value, int):
            whole = int(value)
            if -EXACT_INT <= whole <= EXACT_INT:
                return whole
        number = float(value)  # type: ignore[arg-type]  # what is no number raises
    except Exception as raised:  # a foreign __float__ may raise anything
        if is_the_hosts(raised):
            raise
        return None
    return number if -INFINITE < number < INFINITE else None
