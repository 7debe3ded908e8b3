"""What InfluxDB says of a body that it did not take, or not all of."""

import re

from obs.errors import ExportFailed
from obs_exporters._http_client import Answer, failed

_PARTIAL = (400, 422)
_DROPPED = re.compile(rb".*\bdropped=([0-9]{1,18})", re.DOTALL)
_TEMPORARY = 500
"""A write that timed out, a cache that is full: 1.x and 2.x say so by this status."""


def points_refused(answer: Answer) -> int:
    """Give how many points of a body were refused while the others were taken.

    Returns:
        0 where the answer is of another kind.

    Source: InfluxDB 1.6 (400) and 2.7 (422): ``partial write: ... dropped=1``.
    """
    if answer.status not in _PARTIAL or b"partial write" not in answer.body:
        return 0
    found = _DROPPED.match(answer.body)  # the last: names and values stand before it
    dropped = int(found[1]) if found else 0
    # 1.x counts as dropped=0 what it could not even read.
    return max(dropped, answer.body.count(b"unable to parse"), 1)


def refusal(exporter: str, answer: Answer, hint: str) -> ExportFailed:
    """Give the exception for an answer that says no.

    Args:
        exporter: The exporter's name.
        answer: What came.
        hint: What to look at, if anything.
    """
    found = failed(exporter, answer)
    is_temporary = answer.status == _TEMPORARY
    return ExportFailed(
        f"{found} {hint}".rstrip(),
        retryable=found.retryable or is_temporary,
        retry_after=found.retry_after,
        sent=found.sent or is_temporary,
        reason=found.reason,
    )


def without(answer: Answer, secrets: tuple[str, ...]) -> Answer:
    """Give an answer without secrets, should a server repeat what it was sent."""
    body = answer.body
    for secret in secrets:
        body = body.replace(secret.encode(), b"***")
    return answer._replace(body=body)
