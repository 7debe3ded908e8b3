"""A library that can be watched, and needs no telemetry to work.

python examples/library.py    uses it with and without

It takes a ``Telemetry``, which does nothing unless the application gives its own.
"""

from collections.abc import Callable

from obs import NULL, Obs, Telemetry

# --- the library -----------------------------------------------------------------------


class Cache:
    """Keeps what a function gave.

    Args:
        load: Gives the value for a key.
        tel: Where lookups and loads are counted; nowhere by default.
    """

    def __init__(self, load: Callable[[str], str], *, tel: Telemetry = NULL) -> None:
        self._values: dict[str, str] = {}
        self._load = tel.operation("cache.load")(load)
        lookups = tel.counter("cache.lookups", "Lookups.", labels=("result",))
        self._hits = lookups.labels("hit")
        self._misses = lookups.labels("miss")

    def get(self, key: str) -> str:
        """Give the value for a key; load it the first time."""
        if key in self._values:
            self._hits.inc()
            return self._values[key]
        self._misses.inc()
        return self._values.setdefault(key, self._load(key))


# --- an application --------------------------------------------------------------------


def main():
    silent = Cache(str.upper)
    print(silent.get("a"), silent.get("a"))

    tel = Obs("app", runtime=False)
    watched = Cache(str.upper, tel=tel)
    print(watched.get("a"), watched.get("a"), watched.get("b"))
    for point in tel.snapshot()["cache.lookups"].points:
        print(point.labels["result"], point.value)
    for point in tel.snapshot()["operation.duration"].points:
        print(point.labels["operation"], point.count)


if __name__ == "__main__":
    main()
