"""The contract of push exporters, as tests that a subclass runs over an exporter.

For whoever writes an exporter, inside this project or outside. It needs pytest; with
hypothesis installed it also tries generated names and values::

    from obs.testing.contract import ExporterContract, Number, Rig

    class TestMine(ExporterContract):
        def make(self):
            backend = MyBackend()
            return Rig(
                build=lambda: MyExporter(backend.address),
                received=lambda: [Number(...) for line in backend.lines],
                close=backend.stop,
            )

pytest collects the checks. Those of a signal that the exporter does not take are skipped,
with the reason.
"""

from obs.testing.contract._contract import ExporterContract
from obs.testing.contract._forms import (
    BREAK_MODES,
    Arrived,
    BreakMode,
    Histogram,
    Log,
    Number,
    Rig,
    Span,
)

__all__ = [
    "BREAK_MODES",
    "Arrived",
    "BreakMode",
    "ExporterContract",
    "Histogram",
    "Log",
    "Number",
    "Rig",
    "Span",
]
