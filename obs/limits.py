"""The bounds of everything that could grow, with their defaults."""

from obs.errors import DefinitionError, shown

LABEL_VALUE_CHARS = 16_384
"""A metric's label value longer than this is cut (and counted as truncated)."""


class Limits:
    """How much an instance may hold; immutable.

    What goes past a limit is cut or dropped, and counted.

    Attributes:
        series_per_block: Series of one metric (for decorated calls: of one operation).
            What comes past it is added to the block's overflow series.
        series: Series of one instance.
        queue_records: Records in the intake of a signal, and in a lane's backlog.
        queue_bytes: Estimated bytes in a lane's backlog.
        record_bytes: Bytes of one span or log record.
        attributes: Attributes of one span or record.
        events: Events of one span.
        links: Links of one span.
        value_chars: Characters of one span attribute value.
        baggage_members: Members of a baggage header (W3C Baggage, 3.3.1.2).
        baggage_bytes: Bytes of a baggage header.
        tracestate_members: Members of a tracestate header (W3C Trace Context, 3.3.1).
        tracestate_bytes: Bytes of a tracestate header.
        repr_chars: Characters of a log value's ``repr``.
        repr_depth: Depth to which a log value is shown.
        answer_bytes: Bytes read of a backend's answer.

    Raises:
        DefinitionError: A limit is not an integer of at least 1.
    """

    __slots__ = (  # noqa: RUF023 - the documented order
        "series_per_block",
        "series",
        "queue_records",
        "queue_bytes",
        "record_bytes",
        "attributes",
        "events",
        "links",
        "value_chars",
        "baggage_members",
        "baggage_bytes",
        "tracestate_members",
        "tracestate_bytes",
        "repr_chars",
        "repr_depth",
        "answer_bytes",
    )

    def __init__(
        self,
        *,
        series_per_block: int = 2_000,
        series: int = 50_000,
        queue_records: int = 8_192,
        queue_bytes: int = 16 * 1024 * 1024,
        record_bytes: int = 64 * 1024,
        attributes: int = 128,
        events: int = 128,
        links: int = 128,
        value_chars: int = 4_096,
        baggage_members: int = 64,
        baggage_bytes: int = 8_192,
        tracestate_members: int = 32,
        tracestate_bytes: int = 512,
        repr_chars: int = 8_192,
        repr_depth: int = 8,
        answer_bytes: int = 64 * 1024,
    ) -> None:
        self.series_per_block = series_per_block
        self.series = series
        self.queue_records = queue_records
        self.queue_bytes = queue_bytes
        self.record_bytes = record_bytes
        self.attributes = attributes
        self.events = events
        self.links = links
        self.value_chars = value_chars
        self.baggage_members = baggage_members
        self.baggage_bytes = baggage_bytes
        self.tracestate_members = tracestate_members
        self.tracestate_bytes = tracestate_bytes
        self.repr_chars = repr_chars
        self.repr_depth = repr_depth
        self.answer_bytes = answer_bytes

    def __setattr__(self, name: str, value: int) -> None:
        if hasattr(self, name):
            text = f"limits: {name} cannot be changed. Make another Limits({name}=...)."
            raise AttributeError(text)
        if type(value) is not int or value < 1:
            text = f"limits: {name} got {shown(value)}, needs an integer of at least 1."
            raise DefinitionError(text)
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"Limits({values})"
