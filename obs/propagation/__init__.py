"""Carrying trace contexts and baggage in headers, from process to process.

Formats: W3C Trace Context (Level 2) and Baggage, B3 in one header and in several, Jaeger.
"""

from obs.propagation._fast import written_sampled
from obs.propagation._propagation import Propagation, is_context

__all__ = ["Propagation", "is_context", "written_sampled"]
