"""Running a study from its first trial, or from where it was left, to its end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import filelock
import optuna
from optuna.study import Study

from searchlab.config.loading import StudyFile, load_study
from searchlab.config.plugins import load_plugins
from searchlab.data.decoding import Progress
from searchlab.engine.evaluations import evaluate_finished
from searchlab.engine.stopping import StopRequest, stop_on_signals
from searchlab.errors import InputError, InterruptedStudyError, StudyFailedError
from searchlab.study.ledger import Ledger
from searchlab.study.preparation import PreparedStudy, prepare_study
from searchlab.study.progress import Onlooker
from searchlab.study.record import create_study, reopen_study
from searchlab.study.runs import RunFolder
from searchlab.study.storage import open_storage
from searchlab.training.run import TrialFolders

__all__ = ["EngineName", "begin_study", "resume_study"]

EngineName = Literal["tune", "serial"]

# `study status` takes the lock for an instant, to see whether it is held.
_LOCK_SECONDS = 2.0


def begin_study(
    file: StudyFile,
    run: RunFolder,
    *,
    data_dir: Path,
    storage_url: str | None = None,
    engine: EngineName = "tune",
    onlooker: Onlooker | None = None,
    on_decoding: Progress | None = None,
) -> None:
    """Check a study, make its run folder, and run it to its end.

    ``on_decoding`` is told how far image files are decoded, where that must be done first.
    Raises InputError, with nothing left behind, where something is wrong from the start;
    InterruptedStudyError where it was stopped; StudyFailedError where no search trial succeeded.
    """
    _quieten_optuna()
    _check_new(run)
    load_plugins(file.spec.plugins)
    prepared = prepare_study(file, data_dir=data_dir, on_progress=on_decoding)
    with _made(run), _held(run):
        _check_new(run)  # another driver may have begun and ended while this one waited
        with _undone_on_input_error(run):
            storage = open_storage(run.storage_url(storage_url))
            # The file first: a run that was killed before its study was made can be resumed.
            run.write(prepared.spec.to_data(), storage_url)
            study = create_study(prepared, storage)
        _run(prepared, run, study, engine, onlooker)


def resume_study(
    run: RunFolder,
    *,
    data_dir: Path,
    storage_url: str | None = None,
    overrides: tuple[str, ...] = (),
    plugins: Iterable[str] = (),
    engine: EngineName = "tune",
    onlooker: Onlooker | None = None,
    on_decoding: Progress | None = None,
) -> None:
    """Carry on with a run; one that is finished stays as it is. Raises as ``begin_study``.

    ``plugins`` are loaded, and recorded, beside those that the study began with.
    """
    _quieten_optuna()
    before = run.load().spec.plugins
    file = load_study(run.study_file, overrides, plugins=plugins)
    load_plugins(file.spec.plugins)
    prepared = prepare_study(file, data_dir=data_dir, on_progress=on_decoding)
    with _held(run):
        storage = open_storage(run.storage_url(storage_url))
        study = reopen_study(prepared, storage, create=run.is_embedded(storage_url))
        if overrides or file.spec.plugins != before:
            run.write(prepared.spec.to_data())
        _run(prepared, run, study, engine, onlooker)


def _run(
    prepared: PreparedStudy,
    run: RunFolder,
    study: Study,
    engine: EngineName,
    onlooker: Onlooker | None,
) -> None:
    folders = TrialFolders(checkpoints=run.checkpoints.absolute(), models=run.models.absolute())
    stop = StopRequest()
    ledger = Ledger(
        spec=prepared.spec,
        space=prepared.space,
        study=study,
        checkpoints=folders.checkpoints,
        onlooker=onlooker,
    )
    try:
        with stop_on_signals(stop):
            try:
                _engine(engine)(ledger, prepared, folders, stop)
            finally:
                ledger.close()
            _check_ended(ledger, run, stop)
            shutil.rmtree(run.checkpoints, ignore_errors=True)
            evaluate_finished(prepared, study, ledger.records, run.models, stop=stop)
            _check_ended(ledger, run, stop)
            ledger.note_finished()
    finally:
        stop.close()
    _check_any_success(ledger)


def _check_ended(ledger: Ledger, run: RunFolder, stop: StopRequest) -> None:
    resume = f"Carry on with: searchlab study resume {run.path}"
    if stop.is_made:
        raise InterruptedStudyError(f"Stopped. {resume}", exit_code=stop.exit_code)
    if not ledger.is_finished:
        raise StudyFailedError(f"the engine ended before the study did. {resume}")


def _check_any_success(ledger: Ledger) -> None:
    searched = [record for record in ledger.records if record.role == "search"]
    if searched and all(record.state == "FAIL" for record in searched):
        first = searched[0]
        raise StudyFailedError(
            f"all {len(searched)} search trials failed; #{first.number} with {first.error}"
        )


def _engine(
    name: EngineName,
) -> Callable[[Ledger, PreparedStudy, TrialFolders, StopRequest], None]:
    if name == "serial":
        from searchlab.engine.serial import run_serially

        return run_serially
    from searchlab.engine.tune import run_on_ray

    return run_on_ray


def _check_new(run: RunFolder) -> None:
    if run.exists():
        raise InputError(
            "exists already",
            where=f"the run {run.path}",
            remedy=f"Carry on with: searchlab study resume {run.path}. "
            "Or run it under another name: --set name=...",
        )


@contextmanager
def _made(run: RunFolder) -> Iterator[None]:
    """Make the run folder; on an error before the study was begun, leave none behind."""
    before = [folder for folder in (run.path, *run.path.parents) if not folder.exists()]
    try:
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            run.lock_file.touch()
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}",
                where=f"the run folder {run.path}",
                remedy="Choose another place with --runs-dir",
            ) from error
        yield
    finally:
        if run.path in before and not run.exists():
            shutil.rmtree(run.path, ignore_errors=True)
            with suppress(OSError):  # another run may lie in there by now
                for folder in before[1:]:
                    folder.rmdir()


@contextmanager
def _undone_on_input_error(run: RunFolder) -> Iterator[None]:
    try:
        yield
    except InputError:
        run.discard()
        raise


@contextmanager
def _held(run: RunFolder) -> Iterator[None]:
    """Hold the run's lock, which dies with its holder: one driver a study."""
    lock = filelock.FileLock(run.lock_file, timeout=_LOCK_SECONDS)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InputError(
            "is being run by another process",
            where=f"the run {run.path}",
            remedy=f"Watch it with: searchlab study status {run.path}",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _quieten_optuna() -> None:
    # Progress is shown by the onlooker; Optuna would add a line for each trial.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
