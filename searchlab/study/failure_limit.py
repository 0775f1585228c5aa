"""FailureLimit: ends a study whose trials fail one after another for one cause."""

from __future__ import annotations

import re

from searchlab.errors import InfrastructureError
from searchlab.study.trial_record import TrialRecord

__all__ = ["FailureLimit"]


class FailureLimit:
    """Counts failures in a row for one cause, so that no fault burns the whole budget."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._cause: str | None = None
        self._count = 0

    def note(self, record: TrialRecord) -> None:
        """Count a trial that ended.

        Raises InfrastructureError at the ``limit``-th failure in a row for one cause.
        """
        if record.state != "FAIL":
            self._cause, self._count = None, 0
            return
        cause = _without_figures(record.error or "")
        self._count = self._count + 1 if cause == self._cause else 1
        self._cause = cause
        if self._count == self._limit:
            raise InfrastructureError(
                f"{self._count} trials in a row failed for one cause, the last of them "
                f"#{record.number}: {record.error}. The rest of the budget is not spent on it "
                "(search.max_failures_in_row)"
            )


def _without_figures(error: str) -> str:
    """Return what is the same where sizes, numbers and addresses differ."""
    return re.sub(r"0x[0-9a-f]+|\d+", "#", error)
