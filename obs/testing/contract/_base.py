"""What the groups of checks have in common."""

from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest

from obs.testing.contract._driver import Driver
from obs.testing.contract._forms import Rig


class Checks:
    """Gives each check an exporter at a backend of its own.

    Attributes:
        patience: Seconds to wait for what should arrive; what arrives is not waited for.
        quantile_error: By what share a quantile that the backend computes may be off,
            besides the width of the bucket it lies in: for protocols that sample or round.
        examples: How many generated names and values each such check tries.
    """

    patience = 2.0
    quantile_error = 0.0
    examples = 50

    def make(self) -> Rig:
        """Start a backend; called once for each check. A subclass gives it."""
        text = f"{type(self).__name__}: make() is missing, needs to return a Rig."
        raise NotImplementedError(text)

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        """A backend, stopped after the check."""
        rig = self.make()
        yield rig
        rig.close()

    @pytest.fixture
    def driver(self, rig: Rig) -> Iterator[Driver]:
        """An exporter at the backend, closed after the check."""
        driver = Driver(rig, rig.build(), self.patience)
        yield driver
        try:
            driver.exporter.close(monotonic())
        except Exception as error:  # noqa: BLE001 - there is a check of its own for it
            print(f"close raised {error!r}")  # noqa: T201 - shown where the check fails

    def skip_unless(self, driver: Driver, signal: str) -> None:
        """Skip a check of a signal that the exporter does not take."""
        if signal not in driver.exporter.signals:
            pytest.skip(f"exporter {driver.exporter.name!r} takes no {signal}")

    def generated(self) -> Any:
        """Give the module of generated values, or skip."""
        pytest.importorskip("hypothesis", reason="hypothesis is not installed")
        from obs.testing.contract import _generated  # noqa: PLC0415 - may be missing

        return _generated
