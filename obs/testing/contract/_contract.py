"""All checks in one class."""

from obs.testing.contract._hostility import HostileChecks
from obs.testing.contract._life import LifeChecks
from obs.testing.contract._metrics import MetricChecks
from obs.testing.contract._records import RecordChecks
from obs.testing.contract._statistics import StatisticChecks


class ExporterContract(
    LifeChecks, MetricChecks, StatisticChecks, RecordChecks, HostileChecks
):
    """The contract of push exporters as tests: derive a ``Test`` class and give ``make``.

    ``make()`` starts a backend and gives a ``Rig``; each check has one of its own. The
    attributes ``patience``, ``quantile_error`` and ``examples`` may be changed.

    Threads: each check drives its exporter from one thread at a time, like a lane; what
    has to keep a deadline runs on a daemon thread, which stays behind if it does not.
    """
