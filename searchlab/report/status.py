"""A study's status: how many trials of each role there are, and whether it is done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from searchlab.config.trial import ROLES, Role

if TYPE_CHECKING:
    from searchlab.report.reading import StudyReading

__all__ = ["Incidents", "RoleStatus", "StudyState", "StudyStatus", "read_status"]

StudyState = Literal["running", "finished", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleStatus:
    """Trials of one role by state. ``total`` is None if no driver recorded it."""

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
class Incidents:
    """Drivers, workers and hosts that a study lost, and what it ran again because of that."""

    trials_taken_up: int
    workers_lost: int
    epochs_trained_again: int
    trials_lost: int
    hosts_lost: tuple[str, ...] = ()

    @property
    def text(self) -> str | None:
        """A sentence for the user; None if nothing happened."""
        parts = [
            (self.trials_taken_up, "{} resumed by a later driver", "trial"),
            (self.workers_lost, "{} died during a trial", "worker"),
            (self.epochs_trained_again, "{} trained again", "epoch"),
            (self.trials_lost, "{} lost and replaced by another", "trial"),
        ]
        told = [
            sentence.format(f"{count} {noun}" if count == 1 else f"{count} {noun}s")
            for count, sentence, noun in parts
            if count
        ]
        told += [f"host {host} lost" for host in self.hosts_lost]
        return ", ".join(told) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """A study's state, its counts by role, and its incidents."""

    state: StudyState
    roles: dict[Role, RoleStatus]
    incidents: Incidents

    @property
    def ended(self) -> int:
        """Trials of all roles that ended."""
        return sum(role.ended for role in self.roles.values())

    @property
    def total(self) -> int | None:
        """Planned trials of all roles; None if unknown."""
        totals = [role.total for role in self.roles.values()]
        known = [total for total in totals if total is not None]
        return sum(known) if len(known) == len(totals) else None

    @property
    def unfinished(self) -> str:
        """A sentence on how far an unfinished study is; "" for a finished one."""
        if self.state == "finished":
            return ""
        total = "an unknown number" if self.total is None else str(self.total)
        return f"The study is {self.state}: {self.ended} of {total} trials have ended."


def read_status(reading: StudyReading) -> StudyStatus:
    """Count a study's trials. A study with a driver is ``running``."""
    roles = {role: _count(reading, role) for role in ROLES}
    state: StudyState = "interrupted"
    if reading.is_driven:
        state = "running"
    elif reading.is_finished and not any(role.running or role.waiting for role in roles.values()):
        state = "finished"
    return StudyStatus(state=state, roles=roles, incidents=_sum_incidents(reading))


def _sum_incidents(reading: StudyReading) -> Incidents:
    known = [record.interruptions for record in reading.records if record.interruptions]
    return Incidents(
        trials_taken_up=sum(item.taken_up > 0 for item in known),
        workers_lost=sum(item.worker_lost for item in known),
        epochs_trained_again=sum(item.rerun_epochs for item in known),
        trials_lost=sum(record.is_replaced for record in reading.records),
        hosts_lost=reading.hosts_lost,
    )


def _count(reading: StudyReading, role: Role) -> RoleStatus:
    # A lost trial counts as the one that runs in its place.
    counted = [item for item in reading.records if item.role == role and not item.is_replaced]
    states = Counter(record.state for record in counted)
    return RoleStatus(
        # A study recorded before there was such a role asks for none of it.
        total=reading.totals.get(role, 0) if reading.totals else None,
        complete=states["COMPLETE"],
        pruned=states["PRUNED"],
        failed=states["FAIL"],
        running=states["RUNNING"],
        waiting=states["WAITING"],
    )
