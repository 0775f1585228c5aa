"""Exporting a trial's model: which trial, whether its study is as recorded, and what goes along."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

import numpy as np
import torch

from searchlab.config.loading import StudyFile
from searchlab.config.metrics import DEFAULT_METRIC
from searchlab.config.plugins import load_plugins, loaded_sources
from searchlab.config.trial import TrialConfig
from searchlab.data import DatasetRequest, ImageData, describe_dataset
from searchlab.data.decoding import Progress
from searchlab.deployment.classifier import build_classifier
from searchlab.deployment.description import ImageInput, ModelDescription, ModelFormat, Plugin
from searchlab.deployment.model_files import FILE_NAMES
from searchlab.deployment.model_folder import NewModel, check_free, write_model_folder
from searchlab.errors import InputError
from searchlab.report.leaderboard import best_row
from searchlab.report.model_card import describe_study_model
from searchlab.report.reading import StudyReading
from searchlab.study.preparation.prepared_study import read_images, request_data
from searchlab.study.study_access import check_images, check_plugins
from searchlab.study.trial_record import TrialRecord
from searchlab.training.checkpoint_files import model_path
from searchlab.training.images import Normalizer, TrainingData
from searchlab.training.saved_models import read_saved
from searchlab.version import __version__

__all__ = ["choose_trial", "describe_input", "export_trial", "name_classes", "pack_plugins"]

PLUGIN_FOLDER = "plugins"


def choose_trial(reading: StudyReading, number: int | None) -> TrialRecord:
    """Return the trial of this number, or the winner of a finished study.

    Raises InputError if it is not there, did not complete, or is one whose weights are not kept.
    """
    if number is None:
        return _choose_winner(reading)
    by_number = {record.number: record for record in reading.records}
    if number not in by_number:
        raise InputError(
            f"must be a trial of the study, which has {len(by_number)}",
            where="--trial",
            found=number,
            remedy=f"See them with: searchlab study leaderboard {reading.run.path} --all",
        )
    record = by_number[number]
    if record.state != "COMPLETE":
        reason = record.error or record.stop_reason
        raise InputError(
            f"did not complete, so it has no trained model: its state is {record.state}"
            + (f" ({reason})" if reason else ""),
            where=_name(record),
            remedy=_list_exportable(reading),
        )
    if record.role == "search":
        raise InputError(
            "is a search trial, and their weights are not kept",
            where=_name(record),
            remedy=_point_to_finalist(reading, record),
        )
    return record


def _choose_winner(reading: StudyReading) -> TrialRecord:
    run = reading.run.path
    if not reading.is_finished:
        raise InputError(
            "is not finished, so its winner is not known yet",
            where=f"the run {run}",
            remedy=f"Finish it with searchlab study resume {run}, or name a trial with --trial N",
        )
    best = best_row(reading.records, reading.spec)
    if best is None or best.role == "search":
        raise InputError(
            "has no finalist or baseline that completed, and keeps no weights of search trials",
            where=f"the run {run}",
            remedy=f"Train its best configuration: searchlab study best {run} > best.yaml, "
            "searchlab train best.yaml --to DIR",
        )
    return next(record for record in reading.records if record.number == best.number)


def _name(record: TrialRecord) -> str:
    return f"trial #{record.number} {record.label}"


def _point_to_finalist(reading: StudyReading, record: TrialRecord) -> str:
    for other in reading.records:
        if other.finalist_of == record.number and other.state == "COMPLETE":
            return f"Its finalist, trained again, is --trial {other.number}"
    return _list_exportable(reading)


def _list_exportable(reading: StudyReading) -> str:
    numbers = [
        str(record.number)
        for record in reading.records
        if record.role != "search" and record.state == "COMPLETE"
    ]
    return f"These have one: {', '.join(numbers)}" if numbers else "No trial of the study has one"


def export_trial(
    reading: StudyReading,
    record: TrialRecord,
    to: Path,
    *,
    model_format: ModelFormat,
    data_dir: Path,
    on_decoding: Progress | None = None,
) -> ModelDescription:
    """Write the model of a trial into a new folder, once it is shown to be what was recorded.

    Raises InputError if the folder is there, or the images, a plugin or the model file are not
    those of the study, and as ``write_model_folder``.
    """
    check_free(to)
    file = reading.run.load()
    load_plugins(file.spec.plugins)
    check_plugins(reading.attributes, file.spec)
    config, tensors = read_saved(_find_model(reading, record))
    images = _read_study_images(file, reading, data_dir, on_decoding)
    taken = describe_input(images, config)
    classes = name_classes(request_data(file.spec.dataset), data_dir, images)
    classifier = build_classifier(
        config,
        tensors,
        Normalizer.of(taken.mean, taken.std, device=torch.device("cpu")),
        image_shape=images.image_shape,
        num_classes=images.num_classes,
        where=_name(record),
    )
    plugins, sources = pack_plugins(file.spec.plugins)
    new = NewModel(
        description=ModelDescription(
            title=f"{reading.spec.name} #{record.number} {record.label}",
            format=model_format,
            file=FILE_NAMES[model_format],
            input=taken,
            classes=classes,
            config=config,
            study=reading.spec.name,
            trial=record.number,
            plugins=plugins,
            searchlab=__version__,
        ),
        classifier=classifier,
        test_images=images.test_images,
        test_labels=images.test_labels,
        recorded_accuracy=_recorded_accuracy(record),
        sources=sources,
    )
    return write_model_folder(
        to, new, lambda tested: describe_study_model(tested, reading, record, images)
    )


def _find_model(reading: StudyReading, record: TrialRecord) -> Path:
    path = model_path(reading.run.models, record.number)
    if not path.is_file():
        raise InputError(
            f"has no weights: there is no file {path}",
            where=_name(record),
            remedy="Put it back, or export from the run folder of the driver that trained it",
        )
    return path


def _read_study_images(
    file: StudyFile, reading: StudyReading, data_dir: Path, on_decoding: Progress | None
) -> ImageData:
    images, _ = read_images(file, data_dir=data_dir, on_progress=on_decoding)
    check_images(reading.attributes, images)
    return images


def _recorded_accuracy(record: TrialRecord) -> float:
    accuracy = record.test_figures.get(DEFAULT_METRIC)
    if accuracy is None:
        raise InputError(
            "has no recorded test accuracy, by which its exported model is checked",
            where=_name(record),
        )
    return accuracy


def describe_input(images: ImageData, config: TrialConfig) -> ImageInput:
    """Return what a model trained on all training images takes."""
    data = TrainingData.from_images(images, (), torch.device("cpu"))
    mean, std = data.mean_std(None, config.normalize)
    channels, height, width = images.image_shape
    return ImageInput(
        channels=channels,
        height=height,
        width=width,
        normalize=config.normalize,
        mean=tuple(np.asarray(mean).tolist()),
        std=tuple(np.asarray(std).tolist()),
        bits=images.bits,
    )


def name_classes(request: DatasetRequest, data_dir: Path, images: ImageData) -> tuple[str, ...]:
    """Return the names of the classes in the order of the labels, else their numbers."""
    names = describe_dataset(request, data_dir).class_names
    return names or tuple(map(str, range(images.num_classes)))


def pack_plugins(references: Iterable[str]) -> tuple[tuple[Plugin, ...], dict[str, str]]:
    """Return the loaded plugins, and the sources of those that are files, by their new place."""
    plugins: list[Plugin] = []
    sources: dict[str, str] = {}
    for number, (reference, source) in enumerate(loaded_sources(references).items()):
        if source is None:
            plugins.append(Plugin(name=reference))
            continue
        name = PurePath(reference).name
        place = f"{PLUGIN_FOLDER}/{name}"
        if place in sources:
            place = f"{PLUGIN_FOLDER}/{number}_{name}"
        sources[place] = source
        plugins.append(Plugin(name=name, file=place))
    return tuple(plugins), sources
