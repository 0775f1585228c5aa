"""A run that optuna-dashboard shows: read again while it changes, explained once somebody looks."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from searchlab.config.trial import ROLES
from searchlab.records.optuna_internals import study_id_of
from searchlab.records.trial_record import PROGRESS
from searchlab.report.dashboard.attributes import list_study_attributes
from searchlab.report.dashboard.explanation import TRIAL_IDS, Explanation
from searchlab.report.reading import StudyReader

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import StudyDirection

    from searchlab.config.trial import Role
    from searchlab.records.run_folder import RunFolder

__all__ = ["ExplainedRun", "Outline"]

_FRESH_SECONDS = 5.0  # for which nothing of a run is looked up again


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a list of studies shows of a run. ``roles`` are those with a study of their own."""

    study_id: int
    directions: list[StudyDirection]
    user_attrs: dict[str, Any]
    system_attrs: dict[str, Any]
    roles: tuple[Role, ...]


class ExplainedRun:
    """A run with the number ``slot`` in the dashboard. Several threads may use it.

    Raises InputError or InfrastructureError if the run cannot be opened, when it is made or later.
    """

    def __init__(self, run: RunFolder, storage_option: str | None, *, slot: int) -> None:
        self.name = run.path.resolve().name
        self.slot = slot
        self._reader = StudyReader(run, storage_option)
        self._lock = threading.RLock()
        self._outline: Outline | None = None
        self._outlined_at = self._explained_at = 0.0
        self._explanation: Explanation | None = None
        self.outline()
        # A dashboard that waits for a database shows nothing of the other runs either.
        self._reader.storage.stop_waiting()

    @property
    def storage(self) -> BaseStorage:
        """The run's own storage."""
        return self._reader.storage

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return self._reader.run

    def outline(self) -> Outline:
        """Return what is known of the study without reading its trials."""
        with self._lock:
            if self._outline is None or time.monotonic() - self._outlined_at > _FRESH_SECONDS:
                self._outline = self._look_up()
                self._outlined_at = time.monotonic()
            return self._outline

    def explain(self) -> Explanation:
        """Return what there is to say of the run now."""
        with self._lock:
            known = self._explanation
            if known is None or time.monotonic() - self._explained_at > _FRESH_SECONDS:
                reading = self._reader.read()
                if known is None or known.reading != reading:
                    beside = [self.name_role(role) for role in self.outline().roles]
                    known = self._explanation = Explanation(reading, self.slot, beside)
                self._explained_at = time.monotonic()
            return known

    def forget(self) -> None:
        """Look everything up again at the next question, because something was written."""
        with self._lock:
            self._outline = self._explanation = None

    def name_role(self, role: Role | None) -> str:
        """Return the name of the study that shows a role alone, or of the one without a role."""
        return f"{self.name} ({_PLURALS[role]})" if role else self.name

    def _look_up(self) -> Outline:
        spec, study = self._reader.find()
        attributes = study.user_attrs
        totals = attributes.get(PROGRESS, {}).get("totals", {})
        roles = tuple(role for role in ROLES if totals.get(role, 0) != 0)
        return Outline(
            study_id=study_id_of(study),
            directions=study.directions,
            user_attrs=list_study_attributes(spec, attributes),
            system_attrs=self._shift_keys(self.storage.get_study_system_attrs(study_id_of(study))),
            roles=roles if len(roles) > 1 else (),
        )

    def _shift_keys(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Give the notes that somebody wrote of a trial the key that it has in the dashboard."""

        def shift(match: re.Match[str]) -> str:
            return f"{match[1]}{int(match[2]) + self.slot * TRIAL_IDS}:"

        return {_OF_TRIAL.sub(shift, key): value for key, value in attributes.items()}


_OF_TRIAL = re.compile(r"^(dashboard:(?:artifacts:)?)(\d+):")
_PLURALS = {
    "baseline": "baselines",
    "search": "search",
    "finalist": "finalists",
    "confirmation": "confirmations",
}
