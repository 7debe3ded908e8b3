"""The kit finds each seeded defect by the check that is meant for it, and explains it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from tests.testing.contract.broken import BROKEN

HERE = Path(__file__).parent


class Case(NamedTuple):
    """A broken exporter, the check meant for it with its text, and others that fail, too."""

    exporter: str
    check: str
    text: str
    others: tuple[str, ...] = ()


CASES = [
    Case(
        "DropsTheLastOfMany",
        "test_many_series_arrive",
        "of 2000 points 5 did not arrive [Number(name='contract.many', "
        "labels={'user': 'user486', 'half': ''}, value=486.5)], and 0 "
        "arrived that were not sent, or twice []. Each point of a batch "
        "arrives once, empty labels and zeros too.",
    ),
    Case(
        "CountsADropThatNeverWas",
        "test_points_are_counted",
        "of 9 points the payloads count 9 in records, 1 in dropped and 0 in "
        "merged. Each is counted once: nothing is lost in silence.",
        (
            "test_hostile_numbers_in_metrics",
            "test_hostile_texts_in_metrics",
            "test_hostile_texts_in_records",
            "test_hostile_values_in_records",
            "test_records_are_counted",
        ),
    ),
    Case(
        "LetsANewlineForgeALine",
        "test_hostile_texts_in_metrics",
        "8 were sent with '\\n' among them, and 13 arrived. No text may end "
        "a record or begin another, and no value spoil one.",
        ("test_hostile_texts_in_records",),
    ),
    Case(
        "RaisesKeyErrorForBytes",
        "test_hostile_values_in_records[logs]",
        "encode raised KeyError(b'\\xff\\x00\\n') on "
        "LogRecord(time_ns=1700000000000000000, level='info', "
        "event='contract.odd', logger='contract', trace=0, span=0, "
        "fields={'value': b'\\xff\\x00\\n'}). encode leaves out what it "
        "cannot encode and counts it in Payload.dropped.",
    ),
    Case(
        "SendsTotalsForIncreases",
        "test_increases_add_up",
        "the increases of 6 pushes (sent) add up to "
        "Number(name='contract.requests', labels={'route': 'home'}, "
        "value=56.0), the snapshot says Number(name='contract.requests', "
        "labels={'route': 'home'}, value=21). A push holds what its batch "
        "holds, whatever came before it.",
        (
            "test_counter_statistics",
            "test_encode_gives_the_same_twice",
            "test_encode_works_on_any_thread",
            "test_hostile_numbers_in_metrics",
            "test_hostile_texts_in_metrics",
            "test_increases_add_up_when_pushes_fail",
        ),
    ),
    Case(
        "LosesAFailedPush",
        "test_increases_add_up_when_pushes_fail",
        "the increases of 10 pushes (sent, encoded, late) add up to "
        "Number(name='contract.requests', labels={'route': 'home'}, "
        "value=1.0), the snapshot says Number(name='contract.requests', "
        "labels={'route': 'home'}, value=55). A push holds what its batch "
        "holds, whatever came before it.",
        ("test_a_broken_backend_fails_the_send",),
    ),
    Case(
        "ChangesItsBatch",
        "test_encode_does_not_change_its_batch",
        "encode changed a batch of metrics from ...('contract.number', "
        "'counter', '', '', (), [(('l',), [('a',)], [3], [], 0)]), "
        "('contract.histogram', 'histogram', 's', '... to "
        "...('contract.number', 'counter', '', '', (), [(('l',), [('a',), "
        "('changed',)], [3], [], 0)]), ('contract.histogram', 'hist... . A "
        "batch belongs to all exporters.",
    ),
    Case(
        "RaisesOSErrorFromSend",
        "test_a_broken_backend_fails_the_send[refuse]",
        "send to a backend that is broken (refuse) raised "
        "ConnectionRefusedError(), may raise ExportFailed only.",
        ("test_a_send_past_its_deadline_fails_at_once",),
    ),
    Case(
        "ExceedsMaxBytes",
        "test_no_payload_is_larger_than_max_bytes",
        "encode gave a body of 20600 bytes, delivery.max_bytes is 20000. "
        "encode divides metrics itself, and drops a point too large.",
    ),
    Case(
        "RaisesOnASecondClose",
        "test_close_twice",
        "close raised ValueError('closed already'). close never raises, and "
        "may be called again.",
    ),
    Case(
        "OpensASocketWhenBuilt",
        "test_building_opens_nothing",
        "building it opened a socket. Building opens nothing: what is "
        "needed is opened by the first send.",
    ),
    Case(
        "IgnoresTheDeadline",
        "test_a_broken_backend_fails_the_send[silent]",
        "send to a backend that is broken (silent) had not returned 0.5 s "
        "after its deadline. It returns or raises ExportFailed by then.",
    ),
    Case(
        "SwapsTheBuckets",
        "test_histogram_statistics",
        "the 0.5 quantile of 12345 draws is 500.13 and arrived as 549.87. "
        "It may be off by the 5 of its bucket, and by 0 of itself.",
        ("test_every_kind_arrives", "test_zero_is_a_value"),
    ),
    Case(
        "LosesSeriesWithEmptyLabels",
        "test_every_kind_arrives[counter]",
        "of 3 points 1 did not arrive "
        "[Number(name='contract.counter.labelled', labels={'method': 'PUT', "
        "'route': ''}, value=2.25)], and 0 arrived that were not sent, or "
        "twice []. Each point of a batch arrives once, empty labels and "
        "zeros too.",
        (
            "test_hostile_texts_in_metrics",
            "test_many_series_arrive",
            "test_points_are_counted",
        ),
    ),
    Case(
        "SendsNewestFirst",
        "test_payloads_come_in_the_order_of_the_records[logs]",
        "a payload that stands for the records 0 to 18 of its batch brought "
        "'contract.event.80', which is not among them. Payloads come in the "
        "order of the records.",
    ),
    Case(
        "EncodesTheTimeOfDay",
        "test_encode_gives_the_same_twice",
        "encode gave "
        "...[Payload(body=b'N\\tcontract.number\\tl=a\\t3.0\\tTIME\\nH\\tcontract"
        ".histogram\\t\\t3.5\\t1.0\\t1,2\\tTIME... for metrics, and an hour "
        "later "
        "...[Payload(body=b'N\\tcontract.number\\tl=a\\t3.0\\tTIME\\nH\\tcontract"
        ".histogram\\t\\t3.5\\t1.0\\t1,2\\tTIME... for the same batch. "
        "encode depends on its batch only.",
        ("test_encode_works_on_any_thread",),
    ),
    Case(
        "OneBadNumberSpoilsThePush",
        "test_hostile_numbers_in_metrics",
        "Number(name='contract.good', labels={'l': 'a'}, value=1) was sent "
        "beside nan and did not arrive as it is. What is valid arrives, "
        "whatever stands beside it.",
    ),
    Case(
        "AcknowledgesAnything",
        "test_a_broken_backend_fails_the_send[garbage]",
        "send gave Ack(accepted=2, rejected={}) to a backend that is broken "
        "(garbage). Only what a backend acknowledged is accepted.",
    ),
    Case(
        "AcceptsOneOfAll",
        "test_send_answers_for_each_record",
        "send gave Ack(accepted=1, rejected={}) for a payload of 2 records. "
        "accepted and rejected add up to Payload.records.",
    ),
    Case(
        "GivesUpWhenRefused",
        "test_a_broken_backend_fails_the_send[refuse]",
        "send raised ExportFailed(''), not retryable, to a backend that is "
        "broken (refuse). What is not retryable is given up.",
    ),
    Case(
        "PushesAllTheTime",
        "test_attributes_have_their_types",
        "delivery.interval is 0, needs seconds above 0.",
    ),
    Case(
        "ReadsAFileInEncode",
        "test_encode_opens_nothing",
        "encode opened a file for metrics. encode does no I/O: that is for send.",
    ),
    Case(
        "CountsMetricsWithoutSeries",
        "test_a_metric_without_series_is_no_point",
        "Payload.records is 1 for metrics without series, needs 0.",
    ),
    Case(
        "RaisesAttributeErrorAfterClose",
        "test_send_after_close",
        "send after close raised AttributeError(\"'NoneType' object has no "
        "attribute 'lines'\"), may raise ExportFailed only.",
    ),
    Case(
        "ClosesTooLate",
        "test_close_without_a_send",
        "close before anything was sent had not returned 0.5 s after its deadline.",
        ("test_close_after_a_broken_send", "test_close_twice", "test_send_after_close"),
    ),
    Case(
        "EncodesOnOneThread",
        "test_encode_works_on_any_thread",
        "encode on another thread: exporter 'lines': encode raised "
        "RuntimeError('another thread') on ('contract.number', 'counter', "
        "'', '', [('l',)], [NumberPoint(labels={'l': 'a'}, value=3, "
        "start_ns=0, exemplars=())]). encode leaves out what it cannot "
        "encode and counts it in Payload.dropped. Any thread may encode.",
    ),
    Case(
        "PadsWhatIsLong",
        "test_a_batch_fits_max_bytes_when_it_is_halved[logs]",
        "80 of 80 logs gave a body larger than delivery.max_bytes (20000) "
        "each by itself. A batch that is halved gives smaller bodies.",
    ),
    Case(
        "TakesLabelNamesFromTheFirstBlock",
        "test_blocks_keep_their_own_labels",
        "of 8 points 3 did not arrive [Number(name='contract.blocks', "
        "labels={'operation': 'place', 'channel': 'web'}, value=5)], and 3 "
        "arrived that were not sent, or twice "
        "[Number(name='contract.blocks', labels={'operation': 'place'}, "
        "value=5.0)]. Each point of a batch arrives once, empty labels and "
        "zeros too.",
    ),
    Case(
        "KeepsTheFirstGauge",
        "test_gauge_statistics",
        "a gauge arrived as [32.0, 32.0, 32.0, 32.0, 32.0, 32.0, 32.0, "
        "32.0, 32.0, 32.0], it was [32.0, 78.0, 10.0, 84.0, 3.0, 42.0, 4.0, "
        "37.0, 39.0, 92.0]. Each push sends the value of its moment.",
    ),
    Case(
        "SubtractsByItself",
        "test_counter_statistics",
        "a counter arrived as 1176.0, 4950 was counted.",
        (
            "test_encode_gives_the_same_twice",
            "test_encode_works_on_any_thread",
            "test_hostile_numbers_in_metrics",
            "test_hostile_texts_in_metrics",
            "test_the_last_push_holds_the_totals",
        ),
    ),
    Case(
        "ForgetsTheParent",
        "test_spans_arrive",
        "21 records arrived of 21 sent; missing is "
        "[Span(trace_id='0000000000abcdef0000000000000000', "
        "span_id='00000000c0ffee01', parent_id='0000000000000001', "
        "name='contract.span.0')], not sent was "
        "[Span(trace_id='0000000000abcdef0000000000000000', "
        "span_id='00000000c0ffee01', parent_id='', "
        "name='contract.span.0')]. Each record of a batch arrives once, as "
        "it is.",
    ),
    Case(
        "ForgetsTheFields",
        "test_log_records_arrive",
        "20 records arrived of 20 sent; missing is "
        "[Log(event='contract.event.1', fields={'order': 'order 0'})], not "
        "sent was [Log(event='contract.event.1', fields={'order': None})]. "
        "Each record of a batch arrives once, as it is.",
        ("test_hostile_texts_in_records", "test_hostile_values_in_records"),
    ),
    Case(
        "SendsSomethingForNothing",
        "test_an_empty_batch_is_no_record[logs]",
        "Payload.records is 1 for no logs, needs 0.",
    ),
]


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """What pytest says of the broken exporters: class to check to text."""
    report = tmp_path_factory.mktemp("broken") / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib"]
    plugins = ["-p", "no:cacheprovider", "-p", "no:randomly", "-W", "error"]
    # Without the project's settings: a stranger's pytest has none of them.
    settings = ["-c", os.devnull, "--rootdir", str(HERE.parents[2])]
    done = subprocess.run(
        [*command, *plugins, *settings, f"--junitxml={report}", HERE / "broken.py"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        of_class = found.setdefault(case.get("classname").rpartition(".Test")[2], {})
        for failure in (*case.iter("failure"), *case.iter("error")):
            of_class[case.get("name")] = failure.get("message")
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.exporter)
def test_a_defect_is_found_and_explained(failures, case):
    texts = failures[case.exporter]
    text = re.sub(r"\d{10}\.\d+", "TIME", texts.get(case.check, "passed"))
    assert text == f"AssertionError: exporter 'lines': {case.text}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.exporter)
def test_a_defect_fails_no_check_that_has_nothing_to_do_with_it(failures, case):
    """Generated names and values may find it, too, or not."""
    bare = {name.partition("[")[0] for name in failures[case.exporter]}
    found = {name for name in bare if "generated" not in name}
    assert found == {case.check.partition("[")[0], *case.others}


def test_each_broken_exporter_has_a_case():
    assert sorted(case.exporter for case in CASES) == sorted(k.__name__ for k in BROKEN)
