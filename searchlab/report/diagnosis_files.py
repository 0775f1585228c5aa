"""The rule about a run's files: what should be gone, and what should be there."""

from __future__ import annotations

from collections.abc import Iterator

from searchlab.report.findings import Evidence, Finding, list_trials

__all__ = ["find_stale_files"]

_MOST_LISTED = 3


def find_stale_files(evidence: Evidence) -> Iterator[Finding]:
    """Yield checkpoints of trials that ended, models that are missing, and half-written files."""
    yield from _find_checkpoints(evidence)
    yield from _find_missing_models(evidence)
    yield from _find_half_written(evidence)


def _find_checkpoints(evidence: Evidence) -> Iterator[Finding]:
    folder = evidence.reading.run.checkpoints
    if not folder.is_dir():
        return
    from searchlab.training.checkpoint import model_path  # torch

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
    from searchlab.training.checkpoint import model_path  # torch

    folder = evidence.reading.run.models
    missing = [number for number in ended if not model_path(folder, number).exists()]
    if missing:
        verb = "has" if len(missing) == 1 else "have"
        yield Finding(
            rule="stale-files",
            severity="problem",
            message=f"{list_trials(missing)} {verb} no trained model in {folder}",
            remedy="On a cluster every worker must see the run's folder: look for the files on the "
            "workers' own disks, or run the study anew",
            command=evidence.rerun_command,
            trials=tuple(missing),
        )


def _find_half_written(evidence: Evidence) -> Iterator[Finding]:
    run = evidence.reading.run.path
    if evidence.reading.is_driven:
        return  # its driver and workers may be writing them
    found = sorted(str(path.relative_to(run)) for path in run.rglob("*.tmp"))
    if found:
        more = f" and {len(found) - _MOST_LISTED} more" if len(found) > _MOST_LISTED else ""
        yield Finding(
            rule="stale-files",
            severity="warning",
            message=f"files were left half-written in {run}: "
            f"{', '.join(found[:_MOST_LISTED])}{more}",
            remedy="Nothing reads them: delete them",
        )
