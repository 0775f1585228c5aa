"""Asking the pruner so that a driver killed at any moment is answered the same once more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast
from weakref import WeakKeyDictionary

from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

from searchlab.study.pruning.decisions import Verdict, ask_pruner, judge_by_halving, judge_by_median
from searchlab.study.pruning.peers import PeerValues

__all__ = ["judge"]

_PRUNED_AT = "searchlab:pruned_at"

# Kept as long as the study is: going through 10,000 trials anew takes longer than a verdict may.
_rivals_of: WeakKeyDictionary[Study, PeerValues] = WeakKeyDictionary()


def judge(study: Study, trial: Trial) -> bool:
    """Return whether the study's pruner stops a trial at its last reported step.

    Successive halving notes the rung that a trial has reached while it decides, and takes a trial
    with that note for one that it let pass. So the verdict is recorded before the notes are.

    ``trial`` must have reported all its values itself, or been made after they were.
    """
    if isinstance(study.pruner, NopPruner):
        return False
    frozen = trial._cached_frozen_trial  # what is in the storage, without reading it again
    known = frozen.system_attrs.get(_PRUNED_AT) == frozen.last_step
    verdict = _decide(study, frozen)
    pruned = verdict.pruned or known
    if verdict.notes and pruned and not known:
        _note(trial, _PRUNED_AT, frozen.last_step)
    for key, value in verdict.notes.items():
        _note(trial, key, value)
    return pruned


def _decide(study: Study, trial: FrozenTrial) -> Verdict:
    pruner, peers = study.pruner, _find_rivals(study)
    if isinstance(pruner, MedianPruner):
        return judge_by_median(pruner, trial, peers, study.direction)
    if isinstance(pruner, HyperbandPruner):
        if not pruner._pruners:
            pruner._try_initialization(study)
        bracket = peers.bracket_of(trial.number)
        halving = pruner._pruners[bracket]
        return judge_by_halving(halving, trial, peers, study.direction, bracket=bracket)
    if isinstance(pruner, SuccessiveHalvingPruner):
        return judge_by_halving(pruner, trial, peers, study.direction)
    return ask_pruner(study, trial)


def _find_rivals(study: Study) -> PeerValues:
    peers = _rivals_of.get(study)
    if peers is None:
        pruner, name = study.pruner, study.study_name

        def find_bracket(number: int) -> int:
            if not isinstance(pruner, HyperbandPruner):
                return 0
            # It goes by the study's name and the trial's number alone.
            named = cast("Study", SimpleNamespace(study_name=name))
            return pruner._get_bracket_id(
                named, cast("FrozenTrial", SimpleNamespace(number=number))
            )

        peers = PeerValues(
            storage=study._storage, study_id=study._study_id, bracket_of=find_bracket
        )
        _rivals_of[study] = peers
    return peers


def _note(trial: Trial, key: str, value: float | None) -> None:
    trial.storage.set_trial_system_attr(trial._trial_id, key, value)
    trial._cached_frozen_trial.system_attrs[key] = value
