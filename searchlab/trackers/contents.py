"""What trackers say alike of trials and studies: figures under their names, and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from searchlab.study.callbacks import EpochEnd, StudyEnd, TrialBegin, TrialEnd

__all__ = ["name_trial", "tell_answer", "tell_epoch", "tell_origin", "tell_result", "tell_state"]


def name_trial(begin: TrialBegin) -> str:
    """Return what a trial is called: ``#12 cnn``."""
    return f"#{begin.number} {begin.label}"


def tell_origin(begin: TrialBegin) -> dict[str, str]:
    """Return what a trial is, by name: its number, role and label, and which trial it repeats."""
    told = {"trial": str(begin.number), "role": begin.role, "label": begin.label}
    return told if begin.repeats is None else {**told, "repeats": str(begin.repeats)}


def tell_state(end: TrialEnd) -> dict[str, str]:
    """Return how a trial ended, by name: COMPLETE, PRUNED or FAIL, and the reason if it has one."""
    return {"state": end.state, **({"reason": end.reason} if end.reason else {})}


def tell_epoch(end: EpochEnd) -> dict[str, float]:
    """Return an epoch's figures by name: ``train/loss``, ``validation/accuracy``."""
    return {
        **{f"train/{name}": figure for name, figure in end.training.items()},
        **{f"validation/{name}": figure for name, figure in end.validation.items()},
        "seconds": end.seconds,
    }


def tell_result(end: TrialEnd) -> dict[str, float]:
    """Return a trial's figures by name: ``result/accuracy``, on folds, and ``test/accuracy``."""
    return {
        **{f"result/{name}": figure for name, figure in end.figures.items()},
        **{f"test/{name}": figure for name, figure in end.test_figures.items()},
    }


def tell_answer(end: StudyEnd) -> dict[str, str]:
    """Return a study's answer by name: ``verdict``, such as YES, and ``answer``, its sentence."""
    from searchlab.report.leaderboard import build_leaderboard
    from searchlab.report.verdict import reach_verdict

    board = build_leaderboard(end.records, end.spec)
    verdict = reach_verdict(board, end.records, end.spec)
    return {"verdict": verdict.answer or "none", "answer": verdict.text}
