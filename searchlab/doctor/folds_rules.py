"""The rule about folds: no model is validated on images that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from searchlab.data import get_dataset, list_datasets, load_dataset
from searchlab.data.folds import folds_of
from searchlab.doctor.findings import RUN_ANEW, Evidence, Finding, StudyFolds, list_trials
from searchlab.doctor.trials_rules import planned_folds
from searchlab.errors import SearchlabError
from searchlab.study.preparation.prepared_study import request_data

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec
    from searchlab.data.folds import Indices

__all__ = ["deal_folds", "describe_fold_damage", "find_overlapping_folds"]


def find_overlapping_folds(evidence: Evidence) -> Iterator[Finding]:
    """Yield folds that overlap or omit images, and trials with too many folds."""
    if evidence.folds is not None:
        for damage in describe_fold_damage(evidence.folds.folds, evidence.folds.num_images):
            yield Finding(
                rule="overlapping-folds",
                severity="problem",
                message=f"{damage}: models are validated on images that they were trained on",
                remedy=f"Fix how the folds are made. {RUN_ANEW}",
                command=evidence.rerun_command,
            )
    others = [
        record.number
        for record in evidence.records
        if record.state in ("COMPLETE", "PRUNED")
        if len(record.fold_values) > (planned_folds(evidence.spec, record) or 100)
    ]
    if others:
        verb = "was" if len(others) == 1 else "were"
        yield Finding(
            rule="overlapping-folds",
            severity="problem",
            message=f"{list_trials(others)} {verb} validated on more folds than the study has: "
            "the folds of different trials overlap",
            remedy=f"Keep validation.folds unchanged throughout a study. {RUN_ANEW}",
            command=evidence.rerun_command,
            trials=tuple(others),
        )


def describe_fold_damage(folds: Sequence[Indices], num_images: int) -> list[str]:
    """Describe where validation indices overlap, omit images or exceed 0..num_images-1."""
    if not folds:
        return []
    indices = np.concatenate(list(folds))
    counts = np.bincount(indices[(indices >= 0) & (indices < num_images)], minlength=num_images)
    num_shared, num_left = int((counts > 1).sum()), int((counts == 0).sum())
    num_outside = len(indices) - int(counts.sum())
    damage = []
    if num_shared:
        damage.append(f"the folds overlap in {num_shared:,} of {num_images:,} images")
    if num_left:
        damage.append(f"{num_left:,} of {num_images:,} images are in no fold")
    if num_outside:
        damage.append(f"{num_outside:,} indices of the folds name no training image")
    return damage


def deal_folds(spec: StudySpec, data_dir: Path) -> StudyFolds | str:
    """Split a study's images into folds as a run does, or return why that is not possible here.

    Decodes no image files and downloads nothing.
    """
    name = spec.dataset.name
    if name not in list_datasets():
        return f"dataset {name} comes from a plugin, and doctor loads none"
    dataset = get_dataset(name)
    if dataset.tree is not None:
        return f"the image files of dataset {name} would first have to be decoded"
    if missing := dataset.find_missing(data_dir):
        return f"dataset {name} is not in {data_dir} ({missing[0]} is missing)"
    try:
        images = load_dataset(request_data(spec.dataset), data_dir)
        folds = folds_of(images, num_folds=spec.validation.folds, seed=spec.search.seed)
    except SearchlabError as error:
        return f"dataset {name} cannot be read: {error}"
    return StudyFolds(folds=folds, num_images=len(images.train_labels))
