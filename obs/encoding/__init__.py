"""Records as JSON, logfmt and lines of a terminal: functions that no value can break.

log_dict span_dict metric_dicts    what a record is in JSON
json_line dumper                   that as one line of bytes
logfmt_line                        a log record as one line of logfmt
terminal_line                      a log record for people
wants_color                        whether they can see colours
Plain                              makes any value one that JSON has
sane Redaction                     a log record made plain, bounded, and without secrets
rfc3339                            a time as text
quantile                           an estimate from a histogram
"""

from obs.encoding._json import dumper, json_line
from obs.encoding._logfmt import logfmt_line, logfmt_pairs
from obs.encoding._quantile import quantile
from obs.encoding._records import LOG_NAMES, LOG_ROOM, log_dict, metric_dicts, span_dict
from obs.encoding._redaction import Redaction
from obs.encoding._sane import sane
from obs.encoding._terminal import printable, terminal_line, wants_color
from obs.encoding._time import rfc3339
from obs.encoding._values import Plain

__all__ = [
    "LOG_NAMES",
    "LOG_ROOM",
    "Plain",
    "Redaction",
    "dumper",
    "json_line",
    "log_dict",
    "logfmt_line",
    "logfmt_pairs",
    "metric_dicts",
    "printable",
    "quantile",
    "rfc3339",
    "sane",
    "span_dict",
    "terminal_line",
    "wants_color",
]
