"""Where a study stands: how many trials of each role, and whether it is done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from searchlab.config.trial import ROLES, Role

if TYPE_CHECKING:
    from searchlab.report.reading import StudyReading

__all__ = ["RoleStanding", "Standing", "StudyState", "take_standing"]

StudyState = Literal["running", "finished", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleStanding:
    """Trials of one role by state. ``total`` is None where no driver noted it."""

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
    roles = {role: _count(reading, role) for role in ROLES}
    state: StudyState = "interrupted"
    if reading.is_driven:
        state = "running"
    elif reading.is_finished and not any(role.running or role.waiting for role in roles.values()):
        state = "finished"
    return Standing(state=state, roles=roles)


def _count(reading: StudyReading, role: Role) -> RoleStanding:
    states = Counter(record.state for record in reading.records if record.role == role)
    return RoleStanding(
        total=reading.totals.get(role),
        complete=states["COMPLETE"],
        pruned=states["PRUNED"],
        failed=states["FAIL"],
        running=states["RUNNING"],
        waiting=states["WAITING"],
    )
