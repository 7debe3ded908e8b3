"""Records as JSON and as lines of a terminal: pure functions that no value can break.

log_dict span_dict metric_dicts    what a record is in JSON
json_line dumper                   that as one line of bytes
terminal_line                      a log record for people
rfc3339                            a time as text
quantile                           an estimate from a histogram
"""

from obs.encoding._json import dumper, json_line
from obs.encoding._quantile import quantile
from obs.encoding._records import LOG_NAMES, log_dict, metric_dicts, span_dict
from obs.encoding._terminal import printable, terminal_line
from obs.encoding._time import rfc3339

__all__ = [
    "LOG_NAMES",
    "dumper",
    "json_line",
    "log_dict",
    "metric_dicts",
    "printable",
    "quantile",
    "rfc3339",
    "span_dict",
    "terminal_line",
]
