"""A run at one moment as optuna-dashboard shows it: notes, values, attributes, files, winners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, TrialState

from searchlab.records.optuna_internals import copy_trial, trial_id_of
from searchlab.report.dashboard.artifacts import list_study_files, list_trial_files
from searchlab.report.dashboard.attributes import list_trial_attributes
from searchlab.report.dashboard.notes import write_study_note, write_trial_note
from searchlab.report.dashboard.plots import list_plots
from searchlab.report.leaderboard import Row, best_row, list_rows
from searchlab.report.page.findings import Findings

if TYPE_CHECKING:
    from searchlab.config.trial import Role
    from searchlab.report.reading import StudyReading

__all__ = ["TRIAL_IDS", "Explanation"]

TRIAL_IDS = 10**9
"""How many keys of trials each run has in the dashboard."""

_NOTE = "dashboard:note_str:0"


@dataclass(frozen=True)
class Explanation:
    """What a reading of a run says to the dashboard, in which the run has the number ``slot``.

    ``beside`` names the studies of one role each.
    """

    reading: StudyReading
    slot: int
    beside: Sequence[str]

    @cached_property
    def _found(self) -> Findings:
        return Findings(self.reading)

    @cached_property
    def _rows(self) -> list[Row]:
        return list_rows(self.reading.records, self.reading.spec)

    def list_attributes(self, role: Role | None) -> dict[str, Any]:
        """Return a study's system attributes: notes of it and of each trial, a figure, and files.

        Among its files are those of the trials that the verdict compares.
        """
        if role is None:
            return self._attributes
        note = f"Only the {role} trials of {self.reading.spec.name}.\n\n{self._attributes[_NOTE]}"
        return {**self._attributes, _NOTE: note}

    @cached_property
    def _attributes(self) -> dict[str, Any]:
        notes = {"dashboard": write_study_note(self._found, beside=self.beside)}
        for row, record, trial in zip(self._rows, self.reading.records, self.trials, strict=True):
            key = f"dashboard:{trial_id_of(trial)}"
            notes[key] = write_trial_note(self._found, row, record)
        rivals = (self._found.winner, self._found.best_baseline)
        numbers = {row.number for row in rivals if row is not None}
        return {
            **{f"{place}:note_ver": 1 for place in notes},
            **{f"{place}:note_str:0": text for place, text in notes.items()},
            **list_plots(self._found),
            **list_study_files(slot=self.slot),
            **{
                key: value
                for trial in self.trials
                if trial.number in numbers
                for key, value in trial.system_attrs.items()
                if key.startswith(f"artifacts:{self.slot:x}-")
            },
        }

    @cached_property
    def trials(self) -> list[FrozenTrial]:
        """Every trial as it is shown, under its own number and a key of this run's."""
        return list(self._show_trials())

    def _show_trials(self) -> Iterator[FrozenTrial]:
        reading = self.reading
        confirmed = {one.confirmation_of for one in reading.records if one.answers is not None}
        for row, record, trial in zip(self._rows, reading.records, reading.trials, strict=True):
            has_answers = record.answers is not None or record.number in confirmed
            files = list_trial_files(trial, has_answers=has_answers, slot=self.slot)
            # A ranked trial's value is what ranks it, not that of the search folds alone.
            ranks = row.cv_mean is not None and len(reading.spec.objective) == 1
            shown = copy_trial(trial, trial_id=self.slot * TRIAL_IDS + trial_id_of(trial))
            if ranks:
                shown.values = [row.cv_mean]
            board = self._found.board
            shown.user_attrs = list_trial_attributes(row, record, board, trial.user_attrs)
            shown.system_attrs = {**files, **_without_constraints(trial.system_attrs)}
            yield shown

    def list_trials(self, role: Role | None) -> list[FrozenTrial]:
        """Return the trials of a role, or without one those that have values of folds."""
        return [
            trial
            for trial, record in zip(self.trials, self.reading.records, strict=True)
            if (record.role == role if role else record.role != "confirmation")
        ]

    def find_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial by its key in the dashboard. Raises KeyError if there is none."""
        return self._by_id[trial_id]

    @cached_property
    def _by_id(self) -> dict[int, FrozenTrial]:
        return {trial_id_of(trial): trial for trial in self.trials}

    def find_best(self, role: Role | None) -> FrozenTrial:
        """Return the leaderboard's first, of a role if one is given.

        Of confirmations it is the first of the trial that ranks first, because the best of them has
        nothing but luck on the test set. Raises ValueError if none is complete.
        """
        complete = [one for one in self.list_trials(role) if one.state == TrialState.COMPLETE]
        if not complete:
            raise ValueError("No trials are completed yet.")
        if role == "confirmation":
            return min(complete, key=self._rank_confirmed)
        records, spec = self.reading.records, self.reading.spec
        best = best_row(records, spec) if role is None else best_row(records, spec, roles=(role,))
        if best is not None:
            return self.trials[[record.number for record in records].index(best.number)]
        return max(complete, key=lambda trial: spec.primary.sign * trial.values[0])

    def _rank_confirmed(self, trial: FrozenTrial) -> tuple[int, int]:
        ranks = {row.number: row.rank for row in self._rows}
        record = self.reading.find_trial(trial.number)
        rank = ranks.get(record.confirmation_of or 0)
        return (len(ranks) if rank is None else rank, trial.number)


def _without_constraints(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out by what Optuna knows that a trial is no candidate: here it is no worse for that."""
    return {key: value for key, value in attributes.items() if not key.startswith("constraints")}
