"""auto is the Gaussian process for so many trials, then TPE; the study's trials alone decide."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_driving import make_spec
from sampler_driving import run_study, search_spec

from searchlab.search.samplers import auto, registry
from searchlab.search.samplers.registry import describe_sampler

SOME = auto.AUTO_GP_TRIALS


def _points(sampler: str, num_trials: int, **options: Any) -> list[dict[str, Any]]:
    return [trial.params for trial in run_study(search_spec(sampler, num_trials), **options).trials]


def test_it_asks_the_gaussian_process_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "AUTO_GP_TRIALS", 13)
    assert _points("auto", 13) == _points("gp", 13)
    assert _points("auto", 15)[:-2] == _points("gp", 15)[:-2]
    assert _points("auto", 15)[-2:] != _points("gp", 15)[-2:]
    monkeypatch.setattr(auto, "AUTO_GP_TRIALS", 0)
    assert _points("auto", 13) == _points("tpe", 13)


def test_a_restart_before_every_trial_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "AUTO_GP_TRIALS", 12)
    assert _points("auto", 15, restart=True) == _points("auto", 15)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"search": {"trials": 40}}, "gp, chosen by auto"),
        (
            {"search": {"trials": 400}},
            f"gp, chosen by auto; tpe after {auto.AUTO_GP_TRIALS} trials",
        ),
        (
            {"objective": [{"metric": "loss"}, {"metric": "parameters"}]},
            "tpe, chosen by auto: it has several objectives",
        ),
        ({"search": {"sampler": "random"}}, "random"),
    ],
)
def test_what_it_stands_for_is_said(changes: dict[str, Any], said: str) -> None:
    search = {"sampler": "auto", **changes.get("search", {})}
    assert describe_sampler(make_spec(**{**changes, "search": search})) == said


def test_several_objectives_are_left_to_tpe() -> None:
    objective = [{"metric": "loss"}, {"metric": "parameters"}]
    spec = make_spec(objective=objective, search={"sampler": "auto"})
    assert registry.count_random_draws(spec) == 10
    spaces = [make_spec(objective=objective, search={"sampler": one}) for one in ("auto", "tpe")]
    drawn = [[trial.params for trial in run_study(one).trials] for one in spaces]
    assert drawn[0] == drawn[1]
