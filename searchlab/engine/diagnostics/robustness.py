"""How robust a study's models are: their accuracy against what an attack may change in a pixel."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from searchlab.analysis.robustness import measure_robustness
from searchlab.config.attacks import AttackName, AttackSpec
from searchlab.config.seeds import derive_seed
from searchlab.engine.diagnostics.costs import (
    count_models,
    seconds_per_image,
    sum_training_seconds,
)
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.results import AttackCurve, ModelRobustness, robustness_key
from searchlab.engine.diagnostics.tasks import Task, TooCostlyError
from searchlab.records.trial_record import TrialRecord

__all__ = ["plan_robustness"]

_ATTACKS: tuple[AttackName, ...] = ("fgsm", "pgd")
_EPSILONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
_MAX_IMAGES = 1000
_MIN_IMAGES = 50  # a standard error of 7 points
_SHARE = 0.015  # of the study's training, for each model


def plan_robustness(finished: FinishedStudy) -> Iterator[Task]:
    """Attack the models of the best finalist and of the best baseline, on the same images.

    As many as cost little beside the study's training, unless its file asks for this diagnostic.
    Raises TooCostlyError if those are too few.
    """
    num_images = _count_images(finished)
    if num_images < min(_MIN_IMAGES, len(finished.prepared.images.test_labels)):
        raise TooCostlyError(
            f"Attacks on at least {_MIN_IMAGES} images would take more than {_SHARE:.1%} of the "
            "study's training for each model."
        )
    for record in finished.subjects:
        yield Task(
            key=robustness_key(record.number),
            kind=ModelRobustness,
            doing=f"attacks on #{record.number} {record.label}",
            measure=partial(_measure, finished, record, num_images),
        )


def _count_images(finished: FinishedStudy) -> int:
    images = finished.prepared.images
    most = min(_MAX_IMAGES, len(images.test_labels))
    if finished.spec.report.diagnostics is not None:
        return most
    seconds = _SHARE * sum_training_seconds(finished.records)
    steps = sum(attack.steps if attack.attack == "pgd" else 1 for attack in _list_attacks())
    costs = [
        steps
        * seconds_per_image(
            record,
            num_models=count_models(finished.spec, record),
            num_images=len(images.train_labels),
        )
        for record in finished.subjects
    ]
    return min([most, *(int(seconds / cost) for cost in costs if cost > 0)])


def _list_attacks() -> list[AttackSpec]:
    return [
        AttackSpec(attack=attack, epsilon=epsilon) for attack in _ATTACKS for epsilon in _EPSILONS
    ]


def _measure(finished: FinishedStudy, record: TrialRecord, num_images: int) -> ModelRobustness:
    data = finished.data
    drawing = torch.Generator().manual_seed(
        derive_seed(finished.spec.search.seed, "images to attack")
    )
    indices = torch.randperm(len(data.test_labels), generator=drawing)[:num_images]
    attacks = [AttackSpec(epsilon=0), *_list_attacks()]
    clean, *attacked = measure_robustness(
        finished.model(record.number),
        data,
        indices.to(data.device),
        attacks,
        check_stop=finished.check_stop,
    )
    curves = []
    for place, attack in enumerate(_ATTACKS):
        accuracies = attacked[place * len(_EPSILONS) :][: len(_EPSILONS)]
        curves.append(
            AttackCurve(
                attack=attack,
                steps=AttackSpec(attack=attack).steps if attack == "pgd" else 1,
                epsilons=[0, *_EPSILONS],
                accuracies=[clean, *accuracies],
            )
        )
    return ModelRobustness(images=num_images, curves=curves)
