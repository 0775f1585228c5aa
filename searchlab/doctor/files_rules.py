"""The rule about a run's files: what should be gone, and what should be there."""

from __future__ import annotations

from collections.abc import Iterator

from searchlab.doctor.findings import Evidence, Finding, list_trials
from searchlab.records.trial_record import CREATED_BY, owner_of
from searchlab.training.trial_files import model_path

__all__ = ["find_stale_files"]

_MAX_LISTED = 3


def find_stale_files(evidence: Evidence) -> Iterator[Finding]:
    """Yield checkpoints of trials that ended, models that are missing, and half-written files."""
    yield from _find_checkpoints(evidence)
    yield from _find_missing_models(evidence)
    yield from _find_half_written(evidence)


def _find_checkpoints(evidence: Evidence) -> Iterator[Finding]:
    folder = evidence.reading.run.checkpoints
    if not folder.is_dir():
        return
    # However many files a checkpoint is made of, their names begin as the model's does.
    ended = {
        model_path(folder, record.number).stem: record.number
        for record in evidence.records
        if record.state in ("COMPLETE", "PRUNED", "FAIL")
    }
    stems = {path.name.partition(".")[0] for path in folder.iterdir()}
    left = sorted(ended[stem] for stem in stems & ended.keys())
    if left:
        verb = "has" if len(left) == 1 else "have"
        yield Finding(
            rule="stale-files",
            severity="warning",
            message=f"{list_trials(left)} ended and still {verb} a checkpoint in {folder}",
            remedy="Nothing reads it any more: delete it",
            trials=tuple(left),
        )


def _find_missing_models(evidence: Evidence) -> Iterator[Finding]:
    ended = [
        record.number
        for record in evidence.records
        if record.state == "COMPLETE" and record.role != "search"
    ]
    if not ended:
        return
    folder = evidence.reading.run.models
    present = {number for number in ended if model_path(folder, number).exists()}
    missing = {number for number in ended if number not in present}
    elsewhere = set() if evidence.is_own_storage else _find_others(evidence, missing, present)
    if lost := sorted(missing - elsewhere):
        verb = "has" if len(lost) == 1 else "have"
        yield Finding(
            rule="stale-files",
            severity="problem",
            message=f"{list_trials(lost)} {verb} no trained model in {folder}",
            remedy="On a cluster every worker must see the run's folder: look for the files on the "
            "workers' own disks, or run the study anew",
            command=evidence.rerun_command,
            trials=tuple(lost),
        )
    if elsewhere:
        yield _describe_elsewhere(evidence, elsewhere)


def _find_others(evidence: Evidence, missing: set[int], present: set[int]) -> set[int]:
    """Return the missing trials of drivers without a model here: each may have its own folder.

    Only the models in a folder tell which drivers wrote into it.
    """
    drivers = _find_drivers(evidence)
    at_home = {drivers[number] for number in present} | {None}
    return {number for number in missing if drivers[number] not in at_home}


def _find_drivers(evidence: Evidence) -> dict[int, str | None]:
    return {trial.number: owner_of(trial.system_attrs.get(CREATED_BY)) for trial in evidence.trials}


def _describe_elsewhere(evidence: Evidence, numbers: set[int]) -> Finding:
    drivers = _find_drivers(evidence)
    names = sorted({str(drivers[number]) for number in numbers})
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    was = "was" if len(numbers) == 1 else "were"
    driver = "the driver" if len(names) == 1 else "the drivers"
    return Finding(
        rule="stale-files",
        severity="warning",
        message=f"{list_trials(sorted(numbers))} {was} trained by {driver} "
        f"{', '.join(names[:_MAX_LISTED])}{more}, without a model in {evidence.reading.run.models}",
        remedy="Each driver that runs with --join keeps its models in its own run folder: look "
        "there. If this is that folder, the models are lost",
        trials=tuple(sorted(numbers)),
    )


def _find_half_written(evidence: Evidence) -> Iterator[Finding]:
    run = evidence.reading.run.path
    if evidence.reading.is_driven:
        return  # its driver and workers may still write them
    found = sorted(str(path.relative_to(run)) for path in run.rglob("*.tmp"))
    if found:
        more = f" and {len(found) - _MAX_LISTED} more" if len(found) > _MAX_LISTED else ""
        yield Finding(
            rule="stale-files",
            severity="warning",
            message=f"files were left half-written in {run}: "
            f"{', '.join(found[:_MAX_LISTED])}{more}",
            remedy="Nothing reads them: delete them",
        )
