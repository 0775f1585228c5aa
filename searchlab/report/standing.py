"""Where a study stands: how many trials of each role, and whether it is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from searchlab.study.attributes import TrialRecord

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec
    from searchlab.config.trial import Role
    from searchlab.report.reading import StudyReading

__all__ = ["ROLES", "RoleStanding", "Standing", "StudyState", "take_standing"]

ROLES: tuple[Role, ...] = ("baseline", "search", "finalist")
StudyState = Literal["running", "finished", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleStanding:
    """Trials of one role by state. ``total`` is None while a planned search is not counted out."""

    total: int | None
    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int

    @property
    def ended(self) -> int:
        """Trials that ended in any state."""
        return self.complete + self.pruned + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A study's state and its counts by role."""

    state: StudyState
    roles: dict[Role, RoleStanding]

    @property
    def ended(self) -> int:
        """Trials of all roles that ended."""
        return sum(role.ended for role in self.roles.values())

    @property
    def total(self) -> int | None:
        """Trials of all roles that the study asks for; None where unknown."""
        totals = [role.total for role in self.roles.values()]
        known = [total for total in totals if total is not None]
        return sum(known) if len(known) == len(totals) else None


def take_standing(reading: StudyReading) -> Standing:
    """Count a study's trials; a driver at work makes it ``running``."""
    spec, records = reading.spec, reading.records
    roles = {role: _count(records, role, _total(spec, role, records)) for role in ROLES}
    if reading.is_driven:
        return Standing(state="running", roles=roles)
    return Standing(state="finished" if _is_done(spec, roles) else "interrupted", roles=roles)


def _count(records: Sequence[TrialRecord], role: Role, total: int | None) -> RoleStanding:
    states = Counter(record.state for record in records if record.role == role)
    return RoleStanding(
        total=total,
        complete=states["COMPLETE"],
        pruned=states["PRUNED"],
        failed=states["FAIL"],
        running=states["RUNNING"],
        waiting=states["WAITING"],
    )


def _total(spec: StudySpec, role: Role, records: Sequence[TrialRecord]) -> int | None:
    if role == "baseline":
        return len(spec.baselines.architectures) * len(spec.baselines.schemes)
    if role == "finalist":
        return spec.confirm.top
    return spec.search.trials or _planned_total(records)


def _planned_total(records: Sequence[TrialRecord]) -> int | None:
    """The whole list of a planned search is only known to have been asked once it is confirmed."""
    if not any(record.role == "finalist" for record in records):
        return None
    return sum(record.role == "search" for record in records)


def _is_done(spec: StudySpec, roles: dict[Role, RoleStanding]) -> bool:
    baseline, search, finalist = (roles[role] for role in ROLES)
    if any(role.running or role.waiting for role in roles.values()):
        return False
    if baseline.ended < (baseline.total or 0):
        return False
    # A search that ran into its timeout is over with fewer trials; the confirm stage shows it.
    is_search_over = finalist.ended > 0 or search.ended >= _expected_search(search)
    return is_search_over and finalist.ended >= min(spec.confirm.top, search.complete)


def _expected_search(search: RoleStanding) -> int:
    return max(1, search.ended) if search.total is None else search.total
