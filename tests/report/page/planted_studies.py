"""Studies made up for tests of the report's sections: records, without any training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial
from trial_records import make_spec

from searchlab.records.run_folder import RunFolder
from searchlab.records.trial_record import TrialRecord
from searchlab.report.page.findings import Findings
from searchlab.report.reading import StudyReading


def find(
    records: Sequence[TrialRecord], trials: Sequence[FrozenTrial] = (), **changes: Any
) -> Findings:
    """Return what a finished study with these records comes to."""
    reading = StudyReading(
        run=RunFolder(Path("unused")), spec=make_spec(**changes), storage_url="sqlite:///none.db",
        records=list(records), is_driven=False, is_finished=True, totals={},
        trials=list(trials),
    )  # fmt: skip
    return Findings(reading)
