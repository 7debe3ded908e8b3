"""Takes what was recorded to the backends: batches, retries, deadlines, and the ledger.

The machinery lives once, here; exporters only encode and send. ``Lanes`` is loaded with
the first push exporter, ``Intake`` with every instance: recording costs the same with none
and with six.
"""

from obs.delivery._intake import Intake

__all__ = ["Intake"]
