"""Rules about how trials ended and how many there are."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from searchlab.doctor.findings import RUN_ANEW, Evidence, Finding, list_trials
from searchlab.study.plan import baseline_key
from searchlab.study.trial_config import plan_folds

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from searchlab.config.baselines import BaselineRow
    from searchlab.config.settings import TrainingSettings
    from searchlab.config.study import StudySpec
    from searchlab.records.trial_record import TrialRecord

__all__ = [
    "find_failures",
    "find_non_finite",
    "find_ownerless",
    "find_surplus",
    "find_truncated",
    "planned_folds",
]

_TOLERATED_FAILURES = 0.2
_MAX_CAUSES = 3
_CAUSE_LENGTH = 70


def find_ownerless(evidence: Evidence) -> Iterator[Finding]:
    """Yield trials that are RUNNING although no driver is."""
    running = [record.number for record in evidence.records if record.state == "RUNNING"]
    reading = evidence.reading
    if not running or reading.is_driven:
        return
    verb = "is" if len(running) == 1 else "are"
    message = f"{list_trials(running)} {verb} RUNNING, but no driver runs the study"
    if not evidence.is_own_storage:
        message += " on this machine; drivers on other machines are not visible here"
    yield Finding(
        rule="running-without-owner",
        severity="problem" if evidence.is_own_storage else "warning",
        message=message,
        remedy="Resume the study",
        command=evidence.resume_command(),
        trials=tuple(running),
    )


def find_truncated(evidence: Evidence) -> Iterator[Finding]:
    """Yield COMPLETE trials that were not trained, validated or tested to the end."""
    faults: dict[str, list[int]] = defaultdict(list)
    for record, trial in zip(evidence.records, evidence.trials, strict=True):
        if record.state == "COMPLETE":
            for fault in _find_faults(evidence.spec, record, trial):
                faults[fault].append(record.number)
    for fault, numbers in faults.items():
        verb = "is" if len(numbers) == 1 else "are"
        yield Finding(
            rule="complete-but-truncated",
            severity="problem",
            message=f"{list_trials(numbers)} {verb} COMPLETE {fault}",
            remedy=f"Their values cannot be compared with the others. {RUN_ANEW}",
            command=evidence.rerun_command,
            trials=tuple(numbers),
        )


def _find_faults(spec: StudySpec, record: TrialRecord, trial: FrozenTrial) -> Iterator[str]:
    if record.last_epoch is not None:
        if record.epochs < record.last_epoch:
            yield f"before the epoch that it was to end with ({record.last_epoch})"
    else:
        settings = _settings_of(spec, record)
        if settings is not None and record.epochs < _fewest_epochs(settings):
            yield f"after fewer epochs than the study sets ({settings.epochs})"
    num_folds = planned_folds(spec, record)
    if num_folds is not None and len(record.fold_values) < num_folds:
        yield f"without values for all folds ({num_folds})"
    if record.role != "search" and spec.primary.metric not in record.test_figures:
        yield f"without a test {spec.primary.entry.label}"
    # Optuna keeps no intermediate values for several objectives, and a confirmation has none.
    known, epochs = trial.intermediate_values, range(1, record.epochs + 1)
    has_all = len(known) == record.epochs and all(epoch in epochs for epoch in known)
    if len(spec.objective) == 1 and num_folds != 0 and not has_all:
        yield "without a value for every epoch"


def _fewest_epochs(settings: TrainingSettings) -> int:
    """Return the fewest epochs that a whole trial takes; patience counts from the best one."""
    if settings.patience is None:
        return settings.epochs
    return min(settings.epochs, settings.patience + 1)


def _settings_of(spec: StudySpec, record: TrialRecord) -> TrainingSettings | None:
    if record.role != "baseline":
        return spec.training
    row = _row_of(spec, record)
    return None if row is None else spec.baseline_training(row)


def planned_folds(spec: StudySpec, record: TrialRecord) -> int | None:
    """Return how many folds a trial trains on; None for a baseline no longer in the study."""
    row = _row_of(spec, record)
    if record.role == "baseline" and row is None:
        return None
    return len(plan_folds(spec, record.role, row).folds)


def _row_of(spec: StudySpec, record: TrialRecord) -> BaselineRow | None:
    if record.role != "baseline":
        return None
    rows = {baseline_key(row): row for row in spec.baseline_rows}
    return rows.get(record.plan or "")


def find_non_finite(evidence: Evidence) -> Iterator[Finding]:
    """Yield trials with a value that is not finite; to a minimizer, -inf is the best of all."""
    ends, steps = [], []
    for record, trial in zip(evidence.records, evidence.trials, strict=True):
        told = (*record.values, *record.fold_values) if record.state == "COMPLETE" else ()
        if not all(map(math.isfinite, told)):
            ends.append(record.number)
        if not all(map(math.isfinite, trial.intermediate_values.values())):
            steps.append(record.number)
    for numbers, what in (
        (ends, "COMPLETE with a value that is not finite"),
        (steps, "recorded with an epoch value that is not finite"),
    ):
        if numbers:
            verb = "is" if len(numbers) == 1 else "are"
            yield Finding(
                rule="non-finite",
                severity="problem",
                message=f"{list_trials(numbers)} {verb} {what}: the sampler and the leaderboard "
                "treat it as a real value",
                remedy=RUN_ANEW,
                command=evidence.rerun_command,
                trials=tuple(numbers),
            )


def find_surplus(evidence: Evidence) -> Iterator[Finding]:
    """Yield surplus search trials, repeated planned trials and retries, and damaged numbering."""
    asked = evidence.spec.search.trials
    if asked is None:
        asked = evidence.reading.totals.get("search")
    ended = [
        record.number
        for record in evidence.records
        if record.role == "search" and record.retry_of is None and _is_ended(record)
    ]
    if asked is not None and len(ended) > asked:
        yield _surplus(
            f"the search has {len(ended)} finished trials, but the study sets {asked}",
            "Set search.trials to the number that exists",
            evidence.resume_command(f"search.trials={len(ended)}"),
            sorted(ended)[asked:],
        )
    for attribute, what in (("plan", "planned trial"), ("retry_of", "lost trial")):
        if repeats := _find_repeats(evidence, attribute):
            again = "repeats" if len(repeats) == 1 else "repeat"
            yield _surplus(
                f"{list_trials(repeats)} {again} a {what} that ran before",
                "Two drivers must have run at once: share a study only with --join. Use the "
                "earlier trial's figures",
                None,
                repeats,
            )
    numbers = sorted(record.number for record in evidence.records)
    if numbers != list(range(len(numbers))):
        wrong = sorted(set(range(max(numbers))) - set(numbers))
        wrong += [number for number, count in Counter(numbers).items() if count > 1]
        yield _surplus(
            f"trial numbers are missing or duplicated: {list_trials(wrong)}",
            "Trials were deleted or the storage was damaged: restore it, or run the study again",
            evidence.rerun_command,
            wrong,
        )


def _surplus(message: str, remedy: str, command: str | None, numbers: list[int]) -> Finding:
    return Finding(
        rule="too-many-trials",
        severity="problem",
        message=message,
        remedy=remedy,
        command=command,
        trials=tuple(numbers),
    )


def _find_repeats(evidence: Evidence, attribute: str) -> list[int]:
    """Return the later trials that share a plan, or a lost trial that they replace."""
    seen: set[object] = set()
    repeats = []
    for record in sorted(evidence.records, key=lambda record: record.number):
        if attribute == "plan" and record.retry_of is not None:
            continue  # a retry has the plan of the trial that it replaces
        value = getattr(record, attribute)
        if value is not None and value in seen:
            repeats.append(record.number)
        seen.add(value)
    return repeats


def find_failures(evidence: Evidence) -> Iterator[Finding]:
    """Yield the failed trials by cause if more than a fifth failed."""
    ended = [record for record in evidence.records if _is_ended(record) and not record.is_replaced]
    failed = [record for record in ended if record.state == "FAIL"]
    if len(failed) <= _TOLERATED_FAILURES * len(ended):
        return
    causes = Counter(map(_say_cause, failed)).most_common()
    told = "; ".join(f"{count} by {cause}" for cause, count in causes[:_MAX_CAUSES])
    more = f"; {len(causes) - _MAX_CAUSES} more causes" if len(causes) > _MAX_CAUSES else ""
    memory = any(record.stop_reason == "oom" for record in failed)
    advice = "search smaller batches or models, or give workers more memory" if memory else ""
    yield Finding(
        rule="failed-share",
        severity="warning",
        message=f"{len(failed)} of {len(ended)} trials failed and taught the sampler nothing: "
        f"{told}{more}",
        remedy=f"Fix the cause{f': {advice}' if advice else ''}. Failed trials are not run "
        "again; raise search.trials to replace them",
        command=evidence.resume_command("search.trials=N"),
        trials=tuple(record.number for record in failed),
    )


def _say_cause(record: TrialRecord) -> str:
    if record.stop_reason == "oom":
        return "running out of memory"
    cause = record.error or "an unknown cause"
    return cause if len(cause) <= _CAUSE_LENGTH else f"{cause[: _CAUSE_LENGTH - 3]}..."


def _is_ended(record: TrialRecord) -> bool:
    return record.state in ("COMPLETE", "PRUNED", "FAIL")
