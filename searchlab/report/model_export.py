"""Exporting a trial's model: which trial, whether its study is as recorded, and what goes along."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

from searchlab.config.metrics import DEFAULT_METRIC
from searchlab.config.plugins import loaded_sources
from searchlab.data.decoding import Progress
from searchlab.deployment.description import ModelDescription, ModelFormat, Plugin
from searchlab.deployment.model_files import FILE_NAMES
from searchlab.deployment.model_folder import NewModel, check_free, write_model_folder
from searchlab.errors import InputError
from searchlab.records.trial_record import TrialRecord
from searchlab.report.leaderboard import best_row, build_leaderboard
from searchlab.report.model_card import describe_study_model
from searchlab.report.reading import StudyReading
from searchlab.report.trained_model import open_model
from searchlab.report.verdict import reach_verdict
from searchlab.version import __version__

__all__ = ["choose_trial", "export_trial", "pack_plugins"]

PLUGIN_FOLDER = "plugins"


def choose_trial(reading: StudyReading, number: int | None) -> TrialRecord:
    """Return the trial of this number, or the winner of a finished study.

    The winner is the verdict's, or the first by rank if the verdict shows neither to be better.
    It is never a confirmation: choosing among those by the test set would flatter the choice.
    Raises InputError if the trial is not there, or the study's winner has no weights.
    """
    if number is None:
        return _choose_winner(reading)
    return reading.find_trial(number)


def _choose_winner(reading: StudyReading) -> TrialRecord:
    run = reading.run.path
    if not reading.is_finished:
        raise InputError(
            "is not finished, so its winner is not known yet",
            where=f"the run {run}",
            remedy=f"Finish it with: {reading.run.command('study', 'resume')}. Or name a trial "
            "that is: --trial N",
        )
    board = build_leaderboard(reading.records, reading.spec, show_all=True)
    verdict = reach_verdict(board, reading.records, reading.spec)
    best = verdict.winner or best_row(reading.records, reading.spec)
    if best is None:
        raise InputError("has no trial that completed", where=f"the run {run}")
    if best.role == "search":
        raise InputError(
            f"was won by search trial #{best.number}, whose weights are not kept",
            where=f"the run {run}",
            remedy=f"Train it: {reading.run.command('study', 'best')} > best.yaml, then "
            "searchlab train best.yaml --to DIR. Or name another trial: --trial N",
        )
    return reading.find_trial(best.number)


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

    Raises InputError if the folder is there, and as ``open_model`` and ``write_model_folder``.
    """
    check_free(to)
    opened = open_model(reading, record, data_dir=data_dir, on_decoding=on_decoding)
    title = f"{reading.spec.name} #{record.number} {record.label}"
    accuracy = record.test_figures.get(DEFAULT_METRIC)
    if accuracy is None:
        raise InputError(
            "has no recorded test accuracy, by which its exported model is checked", where=title
        )
    plugins, sources = pack_plugins(reading.spec.plugins)
    new = NewModel(
        description=ModelDescription(
            title=title,
            format=model_format,
            file=FILE_NAMES[model_format],
            input=opened.taken,
            classes=opened.classes,
            config=opened.config,
            study=reading.spec.name,
            trial=record.number,
            plugins=plugins,
            searchlab=__version__,
        ),
        classifier=opened.classifier,
        test_images=opened.images.test_images,
        test_labels=opened.images.test_labels,
        recorded_accuracy=accuracy,
        sources=sources,
    )
    return write_model_folder(
        to, new, lambda tested: describe_study_model(tested, reading, record, opened.images)
    )


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
