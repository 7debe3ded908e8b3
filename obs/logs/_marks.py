"""What routes do to records and tables alike."""

from collections.abc import Mapping
from typing import Any, TypeVar

from obs.model import LogRecord

Key = TypeVar("Key")


def marked(record: LogRecord, name: str, value: Any) -> LogRecord:
    """Give a record with a field of ours; one of the user's gets ``field.`` before it."""
    fields = {name: value}
    for given, its in record.fields.items():
        key = given
        while key in fields:
            key = f"field.{key}"
        fields[key] = its
    return record._replace(fields=fields)


def first_of(table: Mapping[Key, Any]) -> Key | None:
    """Give the oldest key, None where there is none; others may change the table."""
    while True:
        try:
            return next(iter(table), None)
        except RuntimeError:  # its size changed in between
            continue
