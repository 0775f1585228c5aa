"""The contract between the registries: every family with every data set; registering one tests it.

No data set is read: images of its shape and classes are drawn. They go through the code that trains
a study's trials.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any, get_args

import numpy as np
import pytest
import torch

from searchlab.config.settings import Init, TrainingSettings
from searchlab.config.trial import SCHEMES, FoldPlan, ModelConfig, ObjectiveConfig, TrialConfig
from searchlab.data import DatasetFacts, ImageData, get_dataset, list_datasets
from searchlab.errors import InputError
from searchlab.models import get_family, list_families
from searchlab.models.activations import list_activations
from searchlab.models.build import check_model, count_parameters
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.results import EpochResult

SIDE = 32
"""Of the images of a data set whose size can be chosen."""
TINY = 8
NUM_TRAIN, NUM_TEST = 6, 2
# Training on the largest images takes seconds and gigabytes in the networks of more weights.
MOST_WEIGHTS = 5_000_000
FOLDS = (np.arange(0, NUM_TRAIN, 2), np.arange(1, NUM_TRAIN, 2))

Changes = dict[str, Any]
"""Fields of a ModelConfig."""


def facts_of(dataset: str, side: int | None = None) -> DatasetFacts:
    """What a registered data set says; images of ``side`` where it can be chosen."""
    found = get_dataset(dataset)
    if found.facts is None:
        return DatasetFacts(image_shape=(3, side or SIDE, side or SIDE), num_classes=4)
    if found.tree is None or side is None:
        return found.facts
    return replace(found.facts, image_shape=(3, side, side))


def draw_data(facts: DatasetFacts) -> TrainingData:
    generator = np.random.default_rng(0)

    def draw(count: int) -> np.ndarray[Any, Any]:
        return generator.integers(0, 256, size=(count, *facts.image_shape), dtype=np.uint8)

    images = ImageData(
        name="drawn",
        train_images=draw(NUM_TRAIN),
        train_labels=np.arange(NUM_TRAIN) % facts.num_classes,
        test_images=draw(NUM_TEST),
        test_labels=np.arange(NUM_TEST),
        num_classes=facts.num_classes,
    )
    return TrainingData.from_images(images, FOLDS, torch.device("cpu"))


def claims_of(family: str) -> list[Changes]:
    """Every init, scheme and named choice that a family claims to take, one at a time."""
    claims: list[Changes] = [{"init": init} for init in get_args(Init)]
    if get_family(family).first_conv is not None:
        claims += [{"scheme": scheme} for scheme in SCHEMES]
    parameters = get_family(family).parameters
    for field in parameters.field_names():
        schema = parameters.value_schema(field)
        values = [False, True] if schema["type"] == "boolean" else schema.get("enum", [])
        claims += [{"parameters": {field: value}} for value in values]
    return claims


@cache
def is_refused(family: str, facts: DatasetFacts) -> bool:
    """Whether the images are too small for the family, the only thing it may refuse them for."""
    config = ModelConfig(family=family)
    channels, height, width = facts.image_shape
    try:
        count_parameters(config, image_shape=facts.image_shape, num_classes=facts.num_classes)
    except InputError as error:
        message = str(error)
    else:
        return False
    said = re.fullmatch(
        rf"family {family} needs images of at least (\d+)x\1 pixels, got '{height}x{width}'\. "
        r"Use larger images or another family",
        message,
    )
    assert said is not None, message
    least = int(said[1])
    assert min(height, width) < least
    check_model(config, image_shape=(channels, least, least), num_classes=facts.num_classes)
    return True


def train_a_step(
    model: ModelConfig, facts: DatasetFacts, init: Init = "default"
) -> tuple[Cohort, EpochResult]:
    """Train the only batch of one epoch; what moves is what should."""
    config = TrialConfig(
        number=0,
        seed=0,
        dataset="drawn",
        model=model,
        settings=TrainingSettings(
            epochs=1, batch_size=NUM_TRAIN, optimizer="sgd", lr=0.01, momentum=0.0, init=init
        ),
        objective=ObjectiveConfig(metric="loss", direction="minimize"),
        folds=FoldPlan(num_folds=len(FOLDS), folds=(0,), search_folds=1),
    )
    cohort = Cohort(config, draw_data(facts))
    [member] = cohort.members
    before = {name: value.detach().clone() for name, value in member.model.named_parameters()}
    result = cohort.run_epoch()
    moved = {
        name
        for name, value in member.model.named_parameters()
        if not torch.equal(value, before[name])
    }
    trained = {name for name, value in member.model.named_parameters() if value.requires_grad}
    assert moved
    assert moved <= trained
    return cohort, result


def check_step(model: ModelConfig, facts: DatasetFacts, init: Init = "default") -> None:
    cohort, result = train_a_step(model, facts, init)
    assert result.done
    assert not result.diverged, model
    assert np.isfinite([result.value, result.folds[0].training["loss"]]).all()
    assert cohort.members[0].model.training is False  # it was validated
    shape, classes = facts.image_shape, facts.num_classes
    counted = count_parameters(model, image_shape=shape, num_classes=classes)
    assert result.figures["parameters"] == counted


def suited_facts(family: str, dataset: str) -> DatasetFacts:
    """A data set's own images, or smaller ones where a step on its own would take too much."""
    facts = facts_of(dataset)
    if is_refused(family, facts):
        return facts
    weights = count_parameters(
        ModelConfig(family=family), image_shape=facts.image_shape, num_classes=facts.num_classes
    )
    return facts if weights <= MOST_WEIGHTS else facts_of(dataset, SIDE)


# One of each shape and number of classes: the images of the others are drawn alike.
DATASETS = sorted({facts_of(name): name for name in list_datasets()}.values())


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("family", list_families())
def test_every_family_trains_on_every_dataset_with_all_that_it_claims(
    family: str, dataset: str
) -> None:
    facts = suited_facts(family, dataset)
    if is_refused(family, facts):
        with pytest.raises(InputError, match=rf"family {family} needs images of at least"):
            train_a_step(ModelConfig(family=family), facts)
        return
    # The claims, the defaults among them, are dealt out over the data sets of small images that the
    # family takes. In tiny ones, the running statistics of three images let deep networks overflow.
    small = [
        name
        for name in DATASETS
        if TINY < max((there := facts_of(name)).image_shape) <= SIDE
        and not is_refused(family, there)
    ]
    dealt = claims_of(family)[small.index(dataset) :: len(small)] if dataset in small else []
    for changes in dealt or [{}]:
        init = changes.pop("init", "default")
        check_step(ModelConfig(family=family, **changes), facts, init)


@pytest.mark.parametrize("family", list_families())
def test_every_activation_is_among_the_claims(family: str) -> None:
    claimed = {
        claim["parameters"]["activation"]
        for claim in claims_of(family)
        if "activation" in claim.get("parameters", {})
    }
    offered = "activation" in get_family(family).parameters.field_names()
    assert claimed == (set(list_activations()) if offered else set())


@pytest.mark.slow
@pytest.mark.parametrize("family", list_families())
def test_every_family_trains_on_the_largest_images(family: str) -> None:
    for dataset in list_datasets():
        facts = facts_of(dataset)
        if max(facts.image_shape) > SIDE:
            check_step(ModelConfig(family=family), facts)
