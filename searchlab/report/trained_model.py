"""A trial's model on all training images, opened with what it needs to answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from searchlab.config.plugins import load_plugins
from searchlab.data import describe_dataset
from searchlab.deployment.classifier import Classifier, build_classifier
from searchlab.errors import InputError
from searchlab.study.preparation.prepared_study import read_images, request_data
from searchlab.study.study_access import check_images, check_plugins
from searchlab.training.checkpoint import model_path
from searchlab.training.images import TrainingData
from searchlab.training.saved_models import read_model

if TYPE_CHECKING:
    from searchlab.data.decoding import Progress
    from searchlab.report.reading import StudyReading
    from searchlab.study.trial_record import TrialRecord

__all__ = ["open_model"]


def open_model(
    reading: StudyReading,
    record: TrialRecord,
    *,
    data_dir: Path,
    on_decoding: Progress | None = None,
) -> tuple[Classifier, tuple[str, ...]]:
    """Return a trial's model in eval mode on the CPU, and the names of its classes by label.

    The scaling of pixels is computed from the training images, which must be those of the study,
    as its plugins must be, whose code is run. Raises InputError if they are not, or the trial has
    no weights.
    """
    where = f"trial #{record.number} {record.label}"
    path = model_path(reading.run.models, record.number)
    if not path.is_file():
        raise InputError(_explain_missing(record, path), where=where)
    file = reading.run.load()
    load_plugins(file.spec.plugins)
    check_plugins(reading.attributes, file.spec)
    config, tensors = read_model(path)
    images, _ = read_images(file, data_dir=data_dir, on_progress=on_decoding)
    check_images(reading.attributes, images)
    data = TrainingData.from_images(images, (), torch.device("cpu"))
    model = build_classifier(
        config,
        tensors,
        data.normalizer(None, config.normalize),
        image_shape=images.image_shape,
        num_classes=images.num_classes,
        where=where,
    )
    names = describe_dataset(request_data(file.spec.dataset), data_dir).class_names
    return model, tuple(names or map(str, range(images.num_classes)))


def _explain_missing(record: TrialRecord, path: Path) -> str:
    if record.state != "COMPLETE":
        return f"did not complete, so it has no trained model: its state is {record.state}"
    if record.role == "search":
        return "is a search trial, whose weights are not kept: its finalist or a baseline has some"
    return f"has no weights: there is no file {path}"
