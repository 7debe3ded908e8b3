"""From what a caller gives as a label value to the text that is kept."""

from enum import Enum

from obs.limits import LABEL_VALUE_CHARS


def label_text(value: object) -> str | None:
    """Give a label value's text, or None for what is no label value.

    ``str`` as it is (long text is cut, lone surrogates become U+FFFD, so that no backend
    has to refuse it), ``int`` and ``bool`` as Python writes them, ``Enum`` by its value,
    None as empty text. Everything else, floats among it, is none: it would make a series
    for each of its values.
    """
    if type(value) is int:
        try:
            return repr(value)
        except ValueError:  # more digits than Python is willing to write
            return None
    if isinstance(value, Enum):
        value = value.value
    if value is None:
        return ""
    if isinstance(value, str):
        return _clean(str.__str__(value))
    if isinstance(value, int):
        try:
            return int.__repr__(value) if not isinstance(value, bool) else str(value)
        except ValueError:  # more digits than Python is willing to write
            return None
    return None


def _clean(text: str) -> str:
    if len(text) > LABEL_VALUE_CHARS:
        text = text[:LABEL_VALUE_CHARS]
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
