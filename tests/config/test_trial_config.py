"""TrialConfig: what the driver sends is what the worker gets."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from searchlab.config.trial import (
    INITS,
    OPTIMIZERS,
    SCHEMES,
    FoldPlan,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    TrialConfig,
)

_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_SCALARS = st.booleans() | st.integers() | _FLOATS | st.text(max_size=8)
_PARAMETERS = st.dictionaries(
    st.text(min_size=1, max_size=8), _SCALARS | st.lists(_SCALARS, max_size=4).map(tuple)
)


def trial_configs() -> st.SearchStrategy[TrialConfig]:
    return st.builds(
        TrialConfig,
        number=st.integers(0, 10**9),
        seed=st.integers(0, 2**63 - 1),
        role=st.sampled_from(["baseline", "search", "finalist"]),
        dataset=st.text(max_size=12),
        normalize=st.sampled_from(["standard", "unit"]),
        epochs=st.integers(1, 10**5),
        batch_size=st.integers(1, 10**6),
        model=st.builds(
            ModelConfig,
            family=st.text(max_size=8),
            parameters=_PARAMETERS,
            scheme=st.sampled_from(SCHEMES),
            init=st.sampled_from(INITS),
            dropout=st.floats(0, 1, exclude_max=True),
        ),
        optimizer=st.builds(
            OptimizerConfig,
            name=st.sampled_from(OPTIMIZERS),
            lr=_FLOATS,
            momentum=_FLOATS,
            weight_decay=_FLOATS,
        ),
        objective=st.builds(
            ObjectiveConfig,
            metric=st.sampled_from(["accuracy", "loss"]),
            direction=st.sampled_from(["maximize", "minimize"]),
            at=st.sampled_from(["best", "last"]),
        ),
        folds=st.builds(
            FoldPlan,
            num_folds=st.integers(2, 10),
            folds=st.lists(st.integers(0, 9), unique=True).map(tuple),
            search_folds=st.integers(1, 10),
            test=st.booleans(),
        ),
    )


@given(config=trial_configs())
def test_config_is_exact_through_json(config: TrialConfig) -> None:
    again = TrialConfig.from_json(config.to_json())
    assert again == config
    # Equality takes 1, 1.0 and True for the same, and a model does not.
    assert repr(again) == repr(config)


def make_config() -> TrialConfig:
    return TrialConfig(
        number=3,
        seed=0,
        dataset="digits",
        epochs=2,
        batch_size=32,
        model=ModelConfig(family="cnn", parameters={"width": (16, 32)}),
        optimizer=OptimizerConfig(),
        objective=ObjectiveConfig(),
        folds=FoldPlan(num_folds=5, folds=(0, 1), search_folds=1),
    )


def test_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_config().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new"),
    [('"epochs":2', '"epochs":"two"'), ('"family":"cnn"', '"family":3'), ('"seed":0,', "")],
)
def test_other_json_is_refused(old: str, new: str) -> None:
    text = make_config().to_json()
    assert old in text
    with pytest.raises(ValidationError):
        TrialConfig.from_json(text.replace(old, new))


def test_test_member_is_counted_with_the_folds() -> None:
    plan = FoldPlan(num_folds=5, folds=(0, 1, 2, 3, 4), search_folds=1, test=True)
    assert plan.num_members == 6
    assert dataclasses.replace(plan, test=False).num_members == 5
