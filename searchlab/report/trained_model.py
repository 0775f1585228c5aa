"""A trial's model on all training images, opened with what it needs to answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from searchlab.config.plugins import load_plugins
from searchlab.config.trial import TrialConfig
from searchlab.data import DatasetRequest, ImageData, describe_dataset
from searchlab.deployment.classifier import Classifier, build_classifier
from searchlab.deployment.description import ImageInput
from searchlab.errors import InputError
from searchlab.study.preparation.prepared_study import read_images, request_data
from searchlab.study.study_access import check_images, check_plugins
from searchlab.training.checkpoint import model_path
from searchlab.training.images import Normalizer, TrainingData
from searchlab.training.saved_models import read_model

if TYPE_CHECKING:
    from searchlab.data.decoding import Progress
    from searchlab.records.trial_record import TrialRecord
    from searchlab.report.reading import StudyReading

__all__ = ["OpenedModel", "describe_input", "find_weights", "name_classes", "open_model"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedModel:
    """A classifier in eval mode on the CPU, its ``classes`` by label, and what it was made from."""

    classifier: Classifier
    classes: tuple[str, ...]
    config: TrialConfig
    taken: ImageInput
    images: ImageData


def open_model(
    reading: StudyReading,
    record: TrialRecord,
    *,
    data_dir: Path,
    on_decoding: Progress | None = None,
) -> OpenedModel:
    """Return a trial's model.

    The scaling of pixels is computed from the training images, which must be those of the study,
    as its plugins must be, whose code is run. Raises InputError if they are not, or the trial has
    no weights.
    """
    path = find_weights(reading, record)
    file = reading.run.load()
    load_plugins(file.spec.plugins)
    check_plugins(reading.attributes, file.spec)
    config, tensors = read_model(path)
    images, _ = read_images(file, data_dir=data_dir, on_progress=on_decoding)
    check_images(reading.attributes, images)
    taken = describe_input(images, config)
    classifier = build_classifier(
        config,
        tensors,
        Normalizer.of(taken.mean, taken.std, device=torch.device("cpu")),
        image_shape=images.image_shape,
        num_classes=images.num_classes,
        where=_where(record),
    )
    return OpenedModel(
        classifier=classifier,
        classes=name_classes(request_data(file.spec.dataset), data_dir, images),
        config=config,
        taken=taken,
        images=images,
    )


def find_weights(reading: StudyReading, record: TrialRecord) -> Path:
    """Return the file of a trial's model on all training images. Raises InputError without one."""
    path = model_path(reading.run.models, record.number)
    if record.state != "COMPLETE" or not path.is_file():
        raise _missing(reading, record, path, _where(record))
    return path


def describe_input(images: ImageData, config: TrialConfig) -> ImageInput:
    """Return what a model takes that was trained on all training images."""
    data = TrainingData.from_images(images, (), torch.device("cpu"))
    mean, std = data.mean_std(None, config.normalize)
    channels, height, width = images.image_shape
    return ImageInput(
        channels=channels,
        height=height,
        width=width,
        normalize=config.normalize,
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        bits=images.bits,
        fit=images.fit,
        value_range=images.value_range,
    )


def name_classes(request: DatasetRequest, data_dir: Path, images: ImageData) -> tuple[str, ...]:
    """Return the names of the classes in the order of the labels, else their numbers."""
    names = describe_dataset(request, data_dir).class_names
    return names or tuple(map(str, range(images.num_classes)))


def _where(record: TrialRecord) -> str:
    return f"trial #{record.number} {record.label}"


def _missing(reading: StudyReading, record: TrialRecord, path: Path, where: str) -> InputError:
    if record.state != "COMPLETE":
        reason = record.error or record.stop_reason
        because = f" ({reason})" if reason else ""
        return InputError(
            f"did not complete, so it has no trained model: its state is {record.state}{because}",
            where=where,
            remedy=_list_trained(reading),
        )
    if record.role == "search":
        return InputError(
            "is a search trial, whose weights are not kept",
            where=where,
            remedy=_point_to_finalist(reading, record),
        )
    return InputError(
        f"has no weights: there is no file {path}",
        where=where,
        remedy="Put it back, or use the run folder of the driver that trained it",
    )


def _point_to_finalist(reading: StudyReading, record: TrialRecord) -> str:
    for other in reading.records:
        if other.finalist_of == record.number and other.state == "COMPLETE":
            return f"Its finalist is trial #{other.number}"
    return _list_trained(reading)


def _list_trained(reading: StudyReading) -> str:
    numbers = [
        f"#{record.number}"
        for record in reading.records
        if record.role in ("baseline", "finalist") and record.state == "COMPLETE"
    ]
    return f"These have one: {', '.join(numbers)}" if numbers else "No trial of the study has one"
