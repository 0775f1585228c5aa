"""Drives samplers over a conditional space with baselines in it, without training."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ledger_driving import make_spec, open_space, open_study
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import Study
from optuna.trial import Trial, TrialState

from searchlab.config.study import StudySpec
from searchlab.search.samplers.flat_space import FlatSpace
from searchlab.search.samplers.searched_trials import SearchedTrials
from searchlab.search.space.points import Point
from searchlab.search.space.study_space import SpecSpace
from searchlab.study.plan import plan_baselines

JOINT = ("gp", "cmaes", "nsga2", "qmc", "evolution")  # none of them ever samples alone
ASKED = ("tpe", "random", *JOINT)
NUM_BASELINES = 2


def loss_of(point: Point) -> float:
    """Least, 0, for a cnn of two narrow gelu layers without dropout and lr 0.003."""
    loss = abs(math.log10(float(point["lr"])) + 2.5) + float(point["dropout"])
    if point["family"] != "cnn":
        return loss + 1.5
    loss += 0.5 * (point["cnn.depth"] != 2) + 0.3 * (point["cnn.activation"] != "gelu")
    return loss + 0.3 * sum(point.get(f"cnn.layer{layer}.width", 8) != 4 for layer in range(2))


Finish = Callable[[Study, Trial], None]


def finish(study: Study, trial: Trial) -> None:
    """Tell the loss; with two objectives, what the first costs as well."""
    loss = loss_of(trial.params)
    losses = [loss, 1.0 - float(trial.params["dropout"])][: len(study.directions)]
    study.tell(trial, losses)


def finish_in_every_way(study: Study, trial: Trial) -> None:
    """Prune some, let some diverge or fail."""
    kind = trial.number % 5
    if kind == 1:
        trial.report(loss_of(trial.params) + 0.5, step=1)
        study.tell(trial, state=TrialState.PRUNED)
    elif kind == 2:
        trial.set_user_attr("stop_reason", "diverged")
        study.tell(trial, state=TrialState.PRUNED)
    elif kind == 3 and trial.number > 8:
        study.tell(trial, state=TrialState.FAIL)
    else:
        finish(study, trial)


def search_spec(sampler: str, num_trials: int = 24, **changes: Any) -> StudySpec:
    search = {"sampler": sampler, "trials": num_trials, **changes.pop("search", {})}
    return make_spec(objective={"metric": "loss"}, **{**changes, "search": search})


def run_study(
    spec: StudySpec,
    *,
    finish: Finish = finish,
    restart: bool = False,
    storage: BaseStorage | None = None,
) -> Study:
    """Run the baselines and the search, each trial with a sampler made anew where ``restart``."""
    space, storage = open_space(spec), storage or InMemoryStorage()
    study = open_study(spec, storage)
    for planned in plan_baselines(spec, space):
        study.enqueue_trial(planned.point, user_attrs=planned.user_attributes())
    assert spec.search.trials is not None
    for _ in range(NUM_BASELINES + spec.search.trials):
        if restart:
            study = open_study(spec, storage)
        trial = study.ask()
        space.suggest(trial)
        finish(study, trial)
    return study


def search_of(study: Study) -> Study:
    """Return the study as its sampler sees it, of the spaces of ``search_spec``."""
    return SearchedTrials(open_space(make_spec()).narrowed).of(study)


def flat_space(**changes: Any) -> FlatSpace:
    return FlatSpace.of(SpecSpace(make_spec(**changes)).searched)
