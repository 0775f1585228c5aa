"""Running a study from its first trial, or from where it was left, to its end."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import optuna
from optuna.study import Study

from searchlab.config.loading import StudyFile, load_study
from searchlab.config.plugins import load_plugins
from searchlab.data.decoding import Progress
from searchlab.engine.evaluations import evaluate_finished
from searchlab.engine.folders import Beginning, check_new, made, undone_on_input_error
from searchlab.engine.stopping import StopRequest, stop_on_signals
from searchlab.errors import (
    InfrastructureError,
    InterruptedStudyError,
    StudyFailedError,
)
from searchlab.study.callbacks import StudyCallback
from searchlab.study.ledger import Ledger
from searchlab.study.locks.study_lock import StudyLock, hold_study, new_driver_id
from searchlab.study.preparation.prepared_study import PreparedStudy, prepare_study
from searchlab.study.run_folder import RunFolder
from searchlab.study.storage.opening import open_storage, take_password_from_environment
from searchlab.study.storage.retrying_storage import RetryingStorage
from searchlab.study.study_access import create_study, join_study, reopen_study
from searchlab.study.transfer.relocation import plan_relocation
from searchlab.training.failures import describe_failure
from searchlab.training.run import TrialFolders

__all__ = ["EngineName", "RunOptions", "begin_study", "resume_study"]

EngineName = Literal["tune", "serial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a study is driven: where its data and its record are, and what runs its trials.

    ``address`` is that of a Ray cluster. With ``join`` other drivers may run the study at the same
    time. ``on_decoding`` is told how far image files are decoded, where that must be done first.
    """

    data_dir: Path
    storage_url: str | None = None
    engine: EngineName = "tune"
    address: str | None = None
    join: bool = False
    callback: StudyCallback | None = None
    on_decoding: Progress | None = None


def begin_study(file: StudyFile, run: RunFolder, options: RunOptions) -> None:
    """Check a study, make its run folder, and run it to its end.

    Raises InputError, with nothing left behind, where something is wrong from the start;
    InterruptedStudyError where it was stopped; StudyFailedError where no search trial succeeded;
    InfrastructureError where the machine failed.
    """
    _quieten_optuna()
    check_new(run)
    load_plugins(file.spec.plugins)
    prepared = prepare_study(file, data_dir=options.data_dir, on_progress=options.on_decoding)
    with made(run), _held(run, prepared, options) as (storage, lock):
        check_new(run)  # another driver may have begun and ended while this one waited
        beginning = Beginning(is_joined=options.join, driver=lock.driver)
        with undone_on_input_error(run, beginning):
            # The file first: a run that was killed before its study was made can be resumed.
            run.write(prepared.spec.to_data(), options.storage_url)
            begin = join_study if options.join else create_study
            with lock.deciding():
                beginning.study = begin(prepared, storage)
            _run(prepared, run, beginning.study, lock, options, storage)


def resume_study(
    run: RunFolder,
    options: RunOptions,
    *,
    overrides: tuple[str, ...] = (),
    plugins: Iterable[str] = (),
) -> None:
    """Carry on with a run; one that is finished stays as it is. Raises as ``begin_study``.

    Where the study was copied to another storage, and that is given, the run is recorded there
    from then on (``study.transfer.relocation``); where this fails before, nothing is changed.
    ``plugins`` are loaded, and recorded, beside those that the study began with.
    """
    _quieten_optuna()
    before = run.load().spec.plugins
    file = load_study(run.study_file, overrides, plugins=plugins)
    load_plugins(file.spec.plugins)
    prepared = prepare_study(file, data_dir=options.data_dir, on_progress=options.on_decoding)
    with _held(run, prepared, options) as (storage, lock):
        create = run.is_embedded(options.storage_url)
        move = plan_relocation(run, prepared.spec.name, storage, options.storage_url)
        with lock.deciding():
            study = reopen_study(prepared, storage, create=create)
        if move is not None:
            move.carry_out()
        if overrides or file.spec.plugins != before:
            run.write(prepared.spec.to_data())
        _run(prepared, run, study, lock, options, storage)


@contextmanager
def _held(
    run: RunFolder, prepared: PreparedStudy, options: RunOptions
) -> Iterator[tuple[RetryingStorage, StudyLock]]:
    """Open the storage and hold the study in it."""
    driver = new_driver_id()
    url = take_password_from_environment(run.storage_url(options.storage_url))
    storage = open_storage(url, driver=driver)
    with hold_study(
        storage,
        url,
        prepared.spec.name,
        lock_file=run.lock_file,
        driver=driver,
        shared=options.join,
    ) as lock:
        try:
            yield storage, lock
        except InfrastructureError:
            # Or giving a lease back would wait for the storage once more.
            storage.stop_waiting()
            raise


def _run(
    prepared: PreparedStudy,
    run: RunFolder,
    study: Study,
    lock: StudyLock,
    options: RunOptions,
    storage: RetryingStorage,
) -> None:
    folders = TrialFolders(
        checkpoints=run.checkpoints.absolute(),
        models=run.models.absolute(),
        checkpoint_seconds=float(prepared.spec.resources.checkpoint_seconds),
    )
    stop = StopRequest()
    stop.tell(storage.stop_waiting)
    ledger = Ledger(
        spec=prepared.spec,
        space=prepared.space,
        study=study,
        checkpoints=folders.checkpoints,
        callback=options.callback,
        lock=lock,
    )
    try:
        with stop_on_signals(stop):
            try:
                _run_trials(ledger, prepared, folders, stop, options)
            finally:
                ledger.close()
            _check_ended(ledger, run, stop)
            shutil.rmtree(run.checkpoints, ignore_errors=True)
            evaluate_finished(prepared, study, ledger.records, run.models, stop=stop)
            _check_ended(ledger, run, stop)
            ledger.note_finished()
    except InfrastructureError as error:
        if stop.signal_number is not None:  # as in an outage that was not waited for
            raise _interruption(run, stop) from error
        raise InfrastructureError(f"{error}. {_resume_hint(run)}") from error
    except OSError as error:
        if describe_failure(error).kind != "disk":
            raise
        raise InfrastructureError(
            f"{error.filename or run.path} cannot be written: {error.strerror}. {_resume_hint(run)}"
        ) from error
    finally:
        stop.close()
    _check_any_success(ledger)


def _run_trials(
    ledger: Ledger,
    prepared: PreparedStudy,
    folders: TrialFolders,
    stop: StopRequest,
    options: RunOptions,
) -> None:
    if options.engine == "serial":
        from searchlab.engine.serial import run_serially

        run_serially(ledger, prepared, folders, stop)
    else:
        from searchlab.engine.ray.tune import run_on_ray

        run_on_ray(ledger, prepared, folders, stop, address=options.address)


def _check_ended(ledger: Ledger, run: RunFolder, stop: StopRequest) -> None:
    if stop.fault is not None:
        raise stop.fault
    if stop.is_made:
        raise _interruption(run, stop)
    if not ledger.is_finished:
        raise StudyFailedError(f"the engine ended before the study did. {_resume_hint(run)}")


def _interruption(run: RunFolder, stop: StopRequest) -> InterruptedStudyError:
    return InterruptedStudyError(f"Stopped. {_resume_hint(run)}", exit_code=stop.exit_code)


def _resume_hint(run: RunFolder) -> str:
    return f"Carry on with: searchlab study resume {run.path}"


def _check_any_success(ledger: Ledger) -> None:
    searched = [record for record in ledger.records if record.role == "search"]
    if searched and all(record.state == "FAIL" for record in searched):
        first = searched[0]
        raise StudyFailedError(
            f"all {len(searched)} search trials failed; #{first.number} with {first.error}"
        )


def _quieten_optuna() -> None:
    # Progress is shown by the callback; Optuna would add a line for each trial.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
