"""A good exporter passes every check."""

from obs.testing.contract import ExporterContract
from tests.testing.contract.lines import Lines, rig_of


class TestTotals(ExporterContract):
    patience = 0.1

    def make(self):
        return rig_of(Lines)


class Increases(Lines):
    delivery = Lines.delivery._replace(temporality="delta")


class TestIncreases(ExporterContract):
    patience = 0.1

    def make(self):
        return rig_of(Increases)
