"""Times as text."""

from time import gmtime

_SECOND = 10**9


def rfc3339(time_ns: object, digits: int = 9) -> str:
    """Give a time as RFC 3339 in UTC, cut to so many digits of a second.

        >>> rfc3339(1_500_000_000_123_456_789, 3)
        '2017-07-14T02:40:00.123Z'

    Args:
        time_ns: In ns since the epoch.
        digits: From 1 to 9.

    Returns:
        The text; of what is no time between the years 0 and 9999 the number itself, or an
        empty text if it is none.
    """
    exact = whole(time_ns)
    if exact is None:
        return ""
    seconds, rest = divmod(exact, _SECOND)
    try:
        year, *rest_of_date = gmtime(seconds)[:6]
    except (OverflowError, OSError, ValueError):
        year, rest_of_date = -1, []
    if not 0 <= year <= 9999:
        # Above 4,300 digits Python refuses to make a text.
        return str(exact) if abs(seconds) < 1 << 1024 else ""
    date = "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(year, *rest_of_date)
    return f"{date}.{f'{rest:09}'[:digits]}Z"


def whole(value: object) -> int | None:
    """Give an exact ``int``, or None for what is none, whatever it says it is."""
    return int.__int__(value) if issubclass(type(value), int) else None  # type: ignore[arg-type]
