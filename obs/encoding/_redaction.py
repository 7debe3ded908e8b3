"""What takes secrets out of values, as this package sees it."""

from typing import Protocol


class Redaction(Protocol):
    """Finds secrets; never raises, takes no lock, and takes linear time.

    Attributes:
        mask: What stands in the place of a secret.
    """

    @property
    def mask(self) -> str: ...

    def is_secret(self, name: str, /) -> bool:
        """Whether a field, header or attribute of this name holds a secret."""
        ...

    def text(self, text: str, /) -> str:
        """Give a text with the mask in the place of each secret; itself if it has none.

        What it gives has no secret left in it, so that a second time changes nothing.
        """
        ...
