"""Only type-checked: loggers of ours where structlog's are expected, and the adapters."""

import logging
from typing import assert_type

import structlog
from structlog.typing import BindableLogger, FilteringBoundLogger

from obs import Obs
from obs.logs import Logger, Logs, TraceIds, add_trace_ids

tel = Obs("checkout")
logger = Logs().logger("shop")
assert_type(logger.bind(a=1), Logger)
bindable: BindableLogger = logger
# Our event is positional-only, so that a field may be called `event`.
filtering: FilteringBoundLogger = logger  # type: ignore[assignment]

with tel.logs.capture_stdlib("debug", logger="db", warnings=True, uncaught=True) as it:
    it.close()
tel.logs.capture_stdlib(servers=True).close()
tel.logs.capture_stdlib(10)  # type: ignore[arg-type]
logging.getLogger().addFilter(TraceIds("checkout"))
structlog.configure(processors=[add_trace_ids, structlog.processors.JSONRenderer()])
tel.logs.configure_structlog([structlog.processors.UnicodeDecoder()])
tel.logs.configure_structlog([5])  # type: ignore[list-item]
