"""Spans: timed operations that form a trace over threads, tasks and processes.

``Tracer`` makes them and is usable alone; samplers decide which traces are recorded.

Source: B. Sigelman et al., "Dapper, a Large-Scale Distributed Systems Tracing
Infrastructure", 2010; W3C Trace Context.
"""

from obs.trace._records import SpanReader
from obs.trace._sampling import (
    AllOf,
    Always,
    AnyOf,
    Never,
    ParentBased,
    RateLimited,
    Ratio,
    Rule,
    Rules,
)
from obs.trace._span import Span, Unsampled, UnsampledRoot
from obs.trace._tracer import Tracer

__all__ = [
    "AllOf",
    "Always",
    "AnyOf",
    "Never",
    "ParentBased",
    "RateLimited",
    "Ratio",
    "Rule",
    "Rules",
    "Span",
    "SpanReader",
    "Tracer",
    "Unsampled",
    "UnsampledRoot",
]
