"""What InfluxDB's answers come to."""

import pytest

from obs_exporters._http_client import Answer
from obs_exporters.influxdb._answers import points_refused, refusal, without

CONFLICT = (
    'partial write: field type conflict: input field "v" on measurement "m" is type '
    "integer, already exists as type float dropped="
)


def answer(status, text, **headers):
    return Answer(status, headers, text.encode())


@pytest.mark.parametrize(
    ("status", "text", "refused"),
    [
        # As InfluxDB 2.7 and 1.6 say it.
        (422, f'{{"code":"unprocessable entity","message":"failure: {CONFLICT}3"}}', 3),
        (400, f'{{"error":"{CONFLICT}1"}}\n', 1),
        (
            400,
            '{"error":"partial write: unable to parse \'a\': missing fields\\nunable to '
            "parse 'b c d': bad timestamp dropped=0\"}",
            2,
        ),
        (
            400,
            '{"error":"partial write: points beyond retention policy dropped=12"}',
            12,
        ),
        # A name of the user's is no number of InfluxDB's.
        (422, 'partial write: conflict on measurement "dropped=9" dropped=2', 2),
        (422, "partial write: no number", 1),
        (422, "partial write: dropped=" + "9" * 30, 10**18 - 1),
        (400, '{"error":"unable to parse \'x\': missing fields"}', 0),
        (422, "dropped=5", 0),
        (500, "partial write: dropped=5", 0),
        (204, "", 0),
    ],
)
def test_points_that_were_refused_beside_others(status, text, refused):
    assert points_refused(answer(status, text)) == refused


@pytest.mark.parametrize(
    ("status", "retryable", "sent"),
    [
        (429, True, False),
        (500, True, True),
        (502, True, True),
        (503, True, False),
        (504, True, True),
        *(
            (status, False, False)
            for status in (301, 400, 401, 403, 404, 413, 422, 501)
        ),
    ],
)
def test_what_passes_by_itself_may_be_tried_again(status, retryable, sent):
    error = refusal("i", answer(status, "", **{"retry-after": "7"}), "")
    assert (error.retryable, error.sent) == (retryable, sent)
    assert (error.reason, error.retry_after) == (f"http_{status}", 7)
    assert str(error) == f"exporter 'i': the backend answered {status}."


def test_the_text_says_what_the_server_says_and_what_to_look_at():
    error = refusal("i", answer(404, '{"message":"bucket"}'), "Check bucket=.")
    assert str(error) == (
        "exporter 'i': the backend answered 404: '{\"message\":\"bucket\"}'. Check bucket=."
    )


def test_secrets_are_taken_out_of_answers():
    found = without(answer(401, "no tok-1 here, tok-1"), ("tok-1", "other"))
    assert found.body == b"no *** here, ***"
    assert without(answer(401, "as it is"), ()).body == b"as it is"
