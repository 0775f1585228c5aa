"""Whom a pruner compares a search trial with."""

from __future__ import annotations

import pytest
from ledger_driving import make_result, make_spec, open_ledger, open_study, run_to_end
from optuna.trial import TrialState

from searchlab.config.seeds import derive_seed
from searchlab.config.trial import TrialConfig
from searchlab.study.ledger import Ledger


def train(ledger: Ledger, config: TrialConfig) -> None:
    """Baselines near 1, search trials anywhere below 0.5."""
    for epoch in range(1, config.epochs + 1):
        value = 0.99
        if config.role == "search":
            value = derive_seed("value", config.number, epoch) / 2**64
        if ledger.report(make_result(config, epoch, value)):
            break
    ledger.tell(config.number)


@pytest.mark.parametrize("pruner", ["median", "successive_halving", "hyperband"])
def test_search_trials_are_pruned_among_themselves_not_by_strong_baselines(pruner: str) -> None:
    spec = make_spec(
        search={"sampler": "random", "pruner": pruner, "trials": 14},
        training={"epochs": 9},
        baselines={"architectures": ["a1", "a2"], "schemes": ["HF", "HT", "DT"]},
    )
    study = open_study(spec)
    run_to_end(open_ledger(spec, study), train)
    states = {
        role: [trial.state for trial in study.trials if trial.user_attrs["role"] == role]
        for role in ("baseline", "search", "finalist")
    }
    assert states["baseline"] == [TrialState.COMPLETE] * 6
    assert states["search"].count(TrialState.COMPLETE) >= 2
    assert TrialState.PRUNED in states["search"]
    assert states["finalist"] == [TrialState.COMPLETE] * 2
