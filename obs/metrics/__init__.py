"""Metrics: one registry that can always be read, and instruments that write to it."""

from obs.catalog import DEFAULT_SECONDS
from obs.metrics._cells import SLOT_CELLS, THREAD_CELLS, Cells
from obs.metrics._labels import label_text
from obs.metrics._numbers import exact_number
from obs.metrics._registry import Registry

__all__ = [
    "DEFAULT_SECONDS",
    "SLOT_CELLS",
    "THREAD_CELLS",
    "Cells",
    "Registry",
    "exact_number",
    "label_text",
]
