"""TrialConfig: what the driver sends is what the worker gets."""

from __future__ import annotations

import dataclasses
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from searchlab.config.attacks import AttackSpec
from searchlab.config.settings import Init, OptimizerName, TrainingSettings
from searchlab.config.trial import SCHEMES, FoldPlan, ModelConfig, ObjectiveConfig, TrialConfig

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
        model=st.builds(
            ModelConfig,
            family=st.text(max_size=8),
            parameters=_PARAMETERS,
            scheme=st.sampled_from(SCHEMES),
        ),
        settings=st.builds(
            TrainingSettings,
            epochs=st.integers(1, 10**5),
            batch_size=st.integers(1, 10**6),
            optimizer=st.sampled_from(get_args(OptimizerName)),
            lr=st.floats(0, 1000, exclude_min=True),
            momentum=st.floats(0, 1, exclude_max=True),
            weight_decay=st.floats(0, allow_infinity=False),
            dropout=st.floats(0, 1, exclude_max=True),
            init=st.sampled_from(get_args(Init)),
            patience=st.none() | st.integers(1),
        ),
        robustness=st.none() | st.builds(AttackSpec, epsilon=st.floats(0, 1)),
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
        model=ModelConfig(family="cnn", parameters={"width": (16, 32)}),
        settings=TrainingSettings(epochs=2, batch_size=32, augment="flip+crop", epsilon=0.3),
        objective=ObjectiveConfig(),
        folds=FoldPlan(num_folds=5, folds=(0, 1), search_folds=1),
    )


EARLIER = """{
"number": 3, "seed": 0, "role": "search", "dataset": "digits", "normalize": "standard",
"epochs": 2, "batch_size": 32,
"model": {"family": "cnn", "parameters": {"width": [16, 32]}, "scheme": "DT", "init": "normal",
 "dropout": 0.0},
"optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.9, "nesterov": false, "weight_decay": 0.0,
 "clip_norm": 0.0},
"schedule": {"name": "step", "warmup_epochs": 0.0, "step_epochs": 3, "step_factor": 0.1},
"augment": {"operations": ["flip", "jitter"], "degrees": 5.0, "brightness": 0.2, "contrast": 0.2,
 "saturation": 0.2, "hue": 0.1, "crop_padding": 4, "cutout_size": 8},
"label_smoothing": 0.0, "adversarial": {"name": "pgd", "epsilon": 0.2, "steps": 4},
"robustness": {"name": "pgd", "epsilon": 0.05, "steps": 10}, "patience": null,
"precision": "float32", "measures": [], "initial_weights": null,
"objective": {"metric": "accuracy", "direction": "maximize", "at": "best"},
"folds": {"num_folds": 5, "folds": [0, 1], "search_folds": 1, "test": false}}"""


def test_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_config().number = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new"),
    [('"epochs":2', '"epochs":"two"'), ('"family":"cnn"', '"family":3'), ('"seed":0,', "")],
)
def test_other_json_is_refused(old: str, new: str) -> None:
    text = make_config().to_json()
    assert old in text
    with pytest.raises(ValidationError):
        TrialConfig.from_json(text.replace(old, new))


def test_earlier_form_is_read_as_the_same_configuration() -> None:
    settings = {
        "optimizer": "sgd",
        "lr": 0.5,
        "momentum": 0.9,
        "schedule": "step",
        "step_epochs": 3,
        "init": "normal",
    }
    augment = {"augment": "flip+jitter", "jitter_hue": 0.1, "rotate_degrees": 5.0}
    attack = {"adversarial": "pgd", "epsilon": 0.2, "attack_steps": 4}
    config = dataclasses.replace(
        make_config(),
        settings=TrainingSettings(epochs=2, batch_size=32, **settings, **augment, **attack),
        robustness=AttackSpec(attack="pgd", epsilon=0.05),
    )
    assert TrialConfig.from_json(EARLIER) == config


@pytest.mark.parametrize("name", ["epochs", "model", "optimizer", "robustness"])
def test_earlier_form_without_a_part_is_refused(name: str) -> None:
    data = json.loads(EARLIER)
    del data[name]
    with pytest.raises(ValueError, match=r"trial's configuration|validation error"):
        TrialConfig.from_json(json.dumps(data))


def test_test_member_is_counted_with_the_folds() -> None:
    plan = FoldPlan(num_folds=5, folds=(0, 1, 2, 3, 4), search_folds=1, test=True)
    assert plan.num_members == 6
    assert dataclasses.replace(plan, test=False).num_members == 5
