"""Running studies from Python, and opening what they recorded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from searchlab.api.plain_data import to_overrides, to_plain
from searchlab.api.run import Run
from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder, default_runs_dir, find_run

if TYPE_CHECKING:
    from searchlab.config.loading import StudyFile
    from searchlab.engine.launch import RunOptions
    from searchlab.study.callbacks import StudyCallback

__all__ = ["StudySections", "load_run", "resume_study", "run_study"]

StrPath = str | os.PathLike[str]
Section = Mapping[str, Any]


class StudySections(TypedDict, total=False):
    """Sections of a study, whose entries replace those of its file, one by one."""

    name: str
    dataset: Section | str
    space: Section | StrPath
    objective: Section | Iterable[Section]
    robustness: Section | None
    search: Section
    training: Section
    validation: Section
    baselines: Section
    confirm: Section
    resources: Section
    trackers: Mapping[str, Section]
    on_end: str | None
    ensembles: Section
    correlations: Section
    comparisons: Section
    published: Section | None


class ResumedSections(TypedDict, total=False):
    """Sections of a study of which a resume may change some entries."""

    search: Section
    confirm: Section
    resources: Section
    trackers: Mapping[str, Section]
    on_end: str | None


def run_study(
    study: StrPath | Section,
    *,
    preset: str | None = None,
    plugins: Iterable[StrPath] = (),
    runs_dir: StrPath | None = None,
    data_dir: StrPath | None = None,
    storage: str | None = None,
    engine: Literal["tune", "serial"] = "tune",
    address: str | None = None,
    join: bool = False,
    replace: bool = False,
    progress: bool = True,
    **sections: Unpack[StudySections],
) -> Run:
    """Run a study to its end, as ``searchlab study run`` does, and return what it recorded.

    Args:
        study: The study file, the name of one in ``studies/`` or shipped with searchlab, or its
            content as a dict. Paths in a dict start at the current folder.
        preset: The overrides of this name from the study's ``presets``.
        plugins: Python files or modules that register families or datasets.
        runs_dir: Folder of runs; by default ``SEARCHLAB_RUNS``, or ``runs``.
        data_dir: Folder of datasets; by default ``SEARCHLAB_DATA``, or the user's cache.
        storage: Optuna storage URL, if it is not the run's own.
        engine: ``tune`` trains on Ray workers, ``serial`` in this process.
        address: Ray cluster to run on; by default a new Ray on this machine.
        join: Share the study with other drivers; needs PostgreSQL storage.
        replace: First delete an earlier study of this name, without asking.
        progress: Show the progress: on stderr, or in one output of a notebook.
        **sections: Entries of the study that replace those of its file, as ``--set`` does:
            ``search={"trials": 10}`` is ``--set search.trials=10``.

    Raises:
        InputError: Something is wrong from the start. Nothing is left behind.
        InterruptedStudyError: The study was stopped. ``resume_study`` continues it.
        StudyFailedError: No search trial succeeded.
        InfrastructureError: The machine failed. ``resume_study`` continues the study.

    Example:
        >>> run = searchlab.run_study("studies/quickstart.yaml", search={"trials": 10})
        >>> run.verdict.answer
    """
    from searchlab.cli.progress import shown_progress
    from searchlab.cli.study_move import check_deletable
    from searchlab.report.end_command import run_at_end
    from searchlab.report.run_weights import with_run_weights

    file = _read_study(study, to_overrides(sections), preset=preset, plugins=plugins)
    file, found = with_run_weights(file, _runs_dir(runs_dir))
    folder = RunFolder(_runs_dir(runs_dir) / file.spec.name)
    if replace and folder.exists():
        check_deletable(folder)
    with (
        run_at_end(file.spec.on_end, folder, storage),
        shown_progress(quiet=not progress) as callback,
    ):
        for line in found:
            callback.announce(line)
        callback.begin_phase(f"checking {file.spec.name}")
        from searchlab.engine.launch import begin_study  # takes seconds

        options = _drive(data_dir, storage, engine, address, join, callback)
        begin_study(file, folder, options, replace=replace)
    return _open(folder, data_dir, storage)


def resume_study(
    run: StrPath | Run,
    *,
    plugins: Iterable[StrPath] = (),
    runs_dir: StrPath | None = None,
    data_dir: StrPath | None = None,
    storage: str | None = None,
    engine: Literal["tune", "serial"] = "tune",
    address: str | None = None,
    join: bool = False,
    progress: bool = True,
    **sections: Unpack[ResumedSections],
) -> Run:
    """Resume a stopped or killed study, as ``searchlab study resume`` does, and return it.

    Args:
        run: The run, its folder, or its name under ``runs_dir``.
        plugins: Further plugins, beside those with which the study began.
        runs_dir: As for ``run_study``, like the arguments below.
        data_dir: As for ``run_study``.
        storage: As for ``run_study``; of a study that was copied, its new one.
        engine: As for ``run_study``.
        address: As for ``run_study``.
        join: As for ``run_study``.
        progress: As for ``run_study``.
        **sections: Only ``search.trials``, ``search.timeout``, ``search.until``,
            ``search.max_failures_in_row``, ``confirm.top``, ``confirm.repeats``, ``resources``,
            ``trackers`` and ``on_end``: ``search={"trials": 60}`` extends a finished study.

    Raises:
        InputError: The study cannot be resumed so. Nothing has changed.
        InterruptedStudyError: The study was stopped again.
        StudyFailedError: No search trial succeeded.
        InfrastructureError: The machine failed.
    """
    from searchlab.cli.progress import shown_progress
    from searchlab.records.recorded_spec import check_resumable
    from searchlab.report.end_command import find_end_command, run_at_end

    folder = _find(run, runs_dir)
    overrides = to_overrides(sections)
    check_resumable(overrides)
    with (
        run_at_end(find_end_command(folder, overrides), folder, storage),
        shown_progress(quiet=not progress) as callback,
    ):
        callback.begin_phase(f"checking {folder.path}")
        from searchlab.engine import launch  # takes seconds

        options = _drive(data_dir, storage, engine, address, join, callback)
        names = [os.fspath(plugin) for plugin in plugins]
        launch.resume_study(folder, options, overrides=tuple(overrides), plugins=names)
    return _open(folder, data_dir, storage)


def load_run(
    run: StrPath,
    *,
    runs_dir: StrPath | None = None,
    data_dir: StrPath | None = None,
    storage: str | None = None,
) -> Run:
    """Open a recorded study. It may still run: a ``Run`` is what was recorded when it was opened.

    Args:
        run: The run's folder, or its name under ``runs_dir``.
        runs_dir: Folder of runs; by default ``SEARCHLAB_RUNS``, or ``runs``.
        data_dir: Folder of datasets, for ``load_model``; by default ``SEARCHLAB_DATA``, or the
            user's cache.
        storage: Optuna storage URL, if it is not the run's own.

    Raises:
        InputError: There is no such run.
        InfrastructureError: Its storage or a file of it is damaged or gone.
    """
    return _open(_find(run, runs_dir), data_dir, storage)


def _read_study(
    study: StrPath | Section,
    overrides: list[str],
    *,
    preset: str | None,
    plugins: Iterable[StrPath],
) -> StudyFile:
    from searchlab.config.loading import load_study, study_from_data
    from searchlab.config.shipped import find_study

    names = [os.fspath(plugin) for plugin in plugins]
    if isinstance(study, Mapping):
        return study_from_data(to_plain(study), overrides, preset=preset, plugins=names)
    path = find_study(os.fspath(study))
    return load_study(path, overrides, preset=preset, plugins=names)


def _drive(
    data_dir: StrPath | None,
    storage: str | None,
    engine: Literal["tune", "serial"],
    address: str | None,
    join: bool,
    progress: StudyCallback,
) -> RunOptions:
    from searchlab.cli.progress import decoding_shown_by
    from searchlab.data import resolve_data_dir
    from searchlab.engine.launch import RunOptions
    from searchlab.trackers import make_trackers

    if engine not in ("tune", "serial"):
        raise InputError("must be tune or serial", where="engine", found=engine)
    if engine == "serial" and address is not None:
        raise InputError("needs Ray", where="address", remedy="Leave it out, or engine='serial'")
    return RunOptions(
        data_dir=resolve_data_dir(None if data_dir is None else Path(data_dir)),
        storage_url=storage,
        engine=engine,
        address=address,
        join=join,
        callback=progress,
        on_decoding=decoding_shown_by(progress),
        make_trackers=make_trackers,
    )


def _runs_dir(runs_dir: StrPath | None) -> Path:
    return default_runs_dir(None if runs_dir is None else Path(runs_dir))


def _find(run: StrPath | Run, runs_dir: StrPath | None) -> RunFolder:
    if isinstance(run, Run):
        return RunFolder(run.path)
    return find_run(os.fspath(run), _runs_dir(runs_dir))


def _open(folder: RunFolder, data_dir: StrPath | None, storage: str | None) -> Run:
    from searchlab.report.reading import read_study

    return Run(
        read_study(folder, storage),
        storage=storage,
        data_dir=None if data_dir is None else Path(data_dir),
    )
