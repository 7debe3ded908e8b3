"""Key-value logs: made by loggers, correlated with traces, routed.

Logs                 makes loggers; usable alone
Route                one way that logs go
Sample               how many of those that repeat
lazy                 a value that is made only if the record is
TraceIds             a filter that adds trace ids to records of ``logging``
add_trace_ids        a processor that adds them to events of structlog
"""

from obs.logs._fields import Scope
from obs.logs._logger import Logger
from obs.logs._logs import Logs
from obs.logs._record import lazy
from obs.logs._route import Route
from obs.logs._sample import Sample
from obs.logs._trace_ids import TraceIds, add_trace_ids

__all__ = [
    "Logger",
    "Logs",
    "Route",
    "Sample",
    "Scope",
    "TraceIds",
    "add_trace_ids",
    "lazy",
]
