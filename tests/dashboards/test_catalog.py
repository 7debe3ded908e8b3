"""Each built-in metric has a place on a dashboard, or a reason why not."""

import pytest

from obs.catalog import CATALOG
from obs.dashboards import BACKENDS, build
from obs.dashboards._boards import queries_of
from obs.dashboards._files import BOARDS
from obs.dashboards._queries import check, metrics_of
from tests.dashboards.linter import targets_of

NOTHING_RECORDS_IT = "nothing records it yet: a panel of it would be empty"
WITHOUT_A_PLACE = {
    "http.server.request.duration": NOTHING_RECORDS_IT,
    "pipeline.stage.duration": NOTHING_RECORDS_IT,
    "queue.depth": NOTHING_RECORDS_IT,
    "queue.wait.duration": NOTHING_RECORDS_IT,
    "slo.objective": NOTHING_RECORDS_IT,
    "slo.events": NOTHING_RECORDS_IT,
    "asyncio.loop.lag": NOTHING_RECORDS_IT,
    "asyncio.tasks": NOTHING_RECORDS_IT,
    "obs.spool.bytes": NOTHING_RECORDS_IT,
    "process.uptime": "process.start_time says the same, and is on every page",
}


def placed():
    return {
        metric.name
        for board in BOARDS
        for query in queries_of(board)
        for metric in metrics_of(query)
    }


def test_each_built_in_metric_has_a_place_on_a_dashboard():
    homeless = {*CATALOG} - placed() - {*WITHOUT_A_PLACE}
    assert not homeless, (
        f"{sorted(homeless)}: give each a panel in obs/dashboards, or a reason in "
        "WITHOUT_A_PLACE of this test"
    )


def test_what_has_a_place_needs_no_reason():
    assert placed().isdisjoint(WITHOUT_A_PLACE)
    assert {*WITHOUT_A_PLACE} <= {*CATALOG}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.key)
def test_labels_are_those_of_the_metrics(board):
    for query in queries_of(board):
        check(query)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.key)
def test_a_backend_leaves_no_dashboard_empty(backend, board):
    dashboard = build(backend=backend)[board.key]
    assert len(targets_of(dashboard)) >= 4
