"""Things of which a copy would record into nothing."""

from typing import Any, NoReturn, Self


class Unique:
    """Copies are the thing itself (so a dataclass may hold it); there is no pickle."""

    __slots__ = ()

    def __copy__(self) -> Self:
        """Give the thing itself."""
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        """Give the thing itself."""
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse: define it again where it is needed."""
        text = (
            f"{type(self).__name__} cannot be pickled: what it records belongs to this "
            "process. Define it in the other one."
        )
        raise TypeError(text)
