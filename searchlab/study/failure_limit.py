"""FailureLimit: stops a study whose trials fail one after another for the same cause."""

from __future__ import annotations

import re

from searchlab.errors import InfrastructureError
from searchlab.records.trial_record import TrialRecord

__all__ = ["FailureLimit"]


class FailureLimit:
    """Counts failures in a row with the same cause, so that no fault uses up the whole budget."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._cause: str | None = None
        self._count = 0

    def note(self, record: TrialRecord) -> None:
        """Count a trial that ended.

        Raises InfrastructureError at the ``limit``-th failure in a row with the same cause.
        """
        if record.state != "FAIL":
            self._cause, self._count = None, 0
            return
        cause = _without_figures(record.error or "")
        self._count = self._count + 1 if cause == self._cause else 1
        self._cause = cause
        if self._count == self._limit:
            raise InfrastructureError(
                f"{self._count} trials in a row failed for the same cause, most recently "
                f"#{record.number}: {record.error}. The study stops to save the rest of its budget "
                "(search.max_failures_in_row)"
            )


def _without_figures(error: str) -> str:
    """Return the error without its sizes, numbers and addresses, in which equal causes differ."""
    return re.sub(r"0x[0-9a-f]+|\d+", "#", error)
