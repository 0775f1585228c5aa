"""Running a study from its first trial, or from where it stopped, to its end."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import optuna
from optuna.study import Study

from searchlab.config.loading import StudyFile
from searchlab.config.plugins import load_plugins
from searchlab.config.study import StudySpec
from searchlab.data.decoding import Progress
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.step import diagnose
from searchlab.engine.evaluations import evaluate_finished
from searchlab.engine.new_run import delete_if_unused, holds_study, new_run_folder
from searchlab.engine.precision import settle_precision
from searchlab.engine.run_watch import watch_run
from searchlab.engine.session import RunSession
from searchlab.engine.stopping import StopRequest, stop_on_signals
from searchlab.errors import (
    InfrastructureError,
    InputError,
    InterruptedStudyError,
    StudyFailedError,
)
from searchlab.records.locks.drivers import StudyLock, new_driver_id
from searchlab.records.locks.study_lock import hold_study
from searchlab.records.recorded_run import (
    check_named,
    check_recorded,
    open_run_storage,
    restore_study_file,
)
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.fencing import TakenOverError
from searchlab.records.storage.retrying_storage import RetryingStorage
from searchlab.records.storage.urls import take_password_from_environment
from searchlab.study.callbacks import JoinedCallbacks, NullCallback, StudyCallback
from searchlab.study.ledger import Ledger
from searchlab.study.preparation.prepared_study import PreparedStudy, prepare_study
from searchlab.study.study_access import create_study, join_study, reopen_study
from searchlab.training.run import TrialFolders
from searchlab.transfer.deletion import delete_run
from searchlab.transfer.relocation import plan_relocation

__all__ = ["EngineName", "RunOptions", "begin_study", "resume_study"]

logger = logging.getLogger(__name__)

EngineName = Literal["tune", "serial"]


def _make_none(spec: StudySpec, run: RunFolder) -> Sequence[StudyCallback]:
    del spec, run
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a study is run: where its data and its storage are, and what runs its trials.

    ``address`` is that of a Ray cluster. With ``join`` other drivers may run the study at the same
    time. ``on_decoding`` is told the progress if image files must be decoded first. ``track`` names
    trackers that the study turns on beside its own; ``make_trackers`` makes them all.
    """

    data_dir: Path
    storage_url: str | None = None
    engine: EngineName = "tune"
    address: str | None = None
    join: bool = False
    callback: StudyCallback = field(default_factory=NullCallback)
    on_decoding: Progress | None = None
    track: tuple[str, ...] = ()
    make_trackers: Callable[[StudySpec, RunFolder], Sequence[StudyCallback]] = _make_none


@dataclass(frozen=True, slots=True, kw_only=True)
class _HeldStudy:
    """A study that this driver alone may run, or may run beside others that joined it."""

    run: RunFolder
    prepared: PreparedStudy
    options: RunOptions
    storage: RetryingStorage
    lock: StudyLock


def begin_study(
    file: StudyFile, run: RunFolder, options: RunOptions, *, replace: bool = False
) -> None:
    """Check a study, make its run folder, and run it to its end.

    With ``replace``, an earlier study of this name is deleted first, once this one has passed its
    checks, as ``study delete`` does it.

    Raises InputError, with nothing left behind, if something is wrong from the start;
    InterruptedStudyError if the study was stopped; StudyFailedError if no search trial succeeded;
    InfrastructureError if the machine failed.
    """
    _quieten_optuna()
    if not replace:
        _check_new(run)
    load_plugins(file.spec.plugins)
    file, options = _turn_on_trackers(file, run, options)
    is_alone = options.address is None and not options.join
    spec = settle_precision(file.spec, is_alone=is_alone, announce=options.callback.announce)
    prepared = _prepare(dataclasses.replace(file, spec=spec), options)
    if replace and run.exists():
        delete_run(run, storage_option=None if run.is_embedded() else options.storage_url)
    with new_run_folder(run), _files_named(run), _held(run, prepared, options) as held:
        _check_new(run)  # another driver may have begun and ended while this one waited
        study: Study | None = None
        try:
            # The file first: a run that is killed before its study is made can be resumed.
            run.begin()
            run.write(prepared.spec.to_data(), options.storage_url)
            with held.lock.deciding():
                begin = join_study if options.join else create_study
                study = begin(prepared, held.storage)
            run.note_made()
            _run(held, study)
        except InputError:
            driver = held.lock.driver
            delete_if_unused(run, study, held.storage, driver=driver, is_joined=options.join)
            raise


def _turn_on_trackers(
    file: StudyFile, run: RunFolder, options: RunOptions
) -> tuple[StudyFile, RunOptions]:
    """Return the study with the trackers that it turns on, and what tells them. Writes nothing."""
    if options.track:
        trackers = {**{name: {} for name in options.track}, **file.spec.trackers}
        spec = file.spec.model_copy(update={"trackers": trackers})
        file = dataclasses.replace(file, spec=spec)
    made = options.make_trackers(file.spec, run)
    if not made:
        return file, options
    callback = JoinedCallbacks([options.callback, *made])
    return file, dataclasses.replace(options, callback=callback)


def _prepare(file: StudyFile, options: RunOptions) -> PreparedStudy:
    options.callback.begin_phase("reading the images")
    return prepare_study(file, data_dir=options.data_dir, on_progress=options.on_decoding)


def _check_new(run: RunFolder) -> None:
    if not run.exists() and holds_study(run):
        raise InputError(
            "records a study already, but has lost its study.yaml",
            where=f"the run {run.path}",
            remedy=f"{run.command('study', 'resume')} writes it again and continues the study",
        )
    run.check_new(
        f"Continue it with {run.command('study', 'resume')}, run this study under another name "
        "with --set name=..., or replace the earlier results with --replace",
        may_be_there=True,
    )


def resume_study(
    run: RunFolder,
    options: RunOptions,
    *,
    overrides: tuple[str, ...] = (),
    plugins: Iterable[str] = (),
) -> None:
    """Continue a run; a finished one stays as it is. Raises as ``begin_study``.

    If the study was copied to another storage, and that one is given, the run is recorded there
    from now on (``study.transfer.relocation``); a failure before that changes nothing.
    ``plugins`` are loaded, and recorded, beside those with which the study began.
    """
    _quieten_optuna()
    with _files_named(run):
        check_recorded(run, options.storage_url)
        if not run.exists():
            restore_study_file(run, options.storage_url)
        before = run.load().spec
        file = run.load(overrides, plugins=plugins)
    load_plugins(file.spec.plugins)
    file, options = _turn_on_trackers(file, run, options)
    prepared = _prepare(file, options)
    with _files_named(run), _held(run, prepared, options) as held:
        create = run.is_pending
        move = plan_relocation(run, prepared.spec.name, held.storage, options.storage_url)
        if not create:
            check_named(run, prepared.spec.name, held.storage, options.storage_url)
        with held.lock.deciding():
            study = reopen_study(prepared, held.storage, create=create, file=run.study_file)
        run.note_made()
        if move is not None:
            move.carry_out()
        if file.spec != before:
            run.write(prepared.spec.to_data())
        _run(held, study)


@contextmanager
def _held(run: RunFolder, prepared: PreparedStudy, options: RunOptions) -> Iterator[_HeldStudy]:
    """Open the storage and hold the study in it."""
    driver = new_driver_id()
    url = take_password_from_environment(run.storage_url(options.storage_url))
    storage = open_run_storage(run, url, driver=driver, is_named=options.storage_url is not None)
    with hold_study(
        storage,
        url,
        prepared.spec.name,
        lock_file=run.lock_file,
        driver=driver,
        shared=options.join,
    ) as lock:
        yield _HeldStudy(run=run, prepared=prepared, options=options, storage=storage, lock=lock)


@contextmanager
def _files_named(run: RunFolder) -> Iterator[None]:
    """Turn an error of the file system under a run into one of infrastructure."""
    try:
        yield
    except (ConnectionError, TimeoutError, ChildProcessError, ProcessLookupError):
        raise  # not of files
    except OSError as error:
        logger.debug("a file of the run failed", exc_info=True)
        place = error.filename or run.path
        raise InfrastructureError(
            f"{place} cannot be used: {error.strerror or error}. {_resume_hint(run)}"
        ) from error


def _run(held: _HeldStudy, study: Study) -> None:
    run, prepared = held.run, held.prepared
    held.storage.drive(study.study_name, is_alone=not held.lock.shared)
    stop = StopRequest()
    stop.tell(held.storage.stop_waiting)
    ledger = Ledger(
        plan=prepared.plan,
        study=study,
        checkpoints=run.checkpoints.absolute(),
        callback=held.options.callback,
        lock=held.lock,
    )
    session = RunSession(
        ledger=ledger,
        prepared=prepared,
        folders=TrialFolders(
            checkpoints=run.checkpoints.absolute(),
            models=run.models.absolute(),
            checkpoint_seconds=float(prepared.spec.resources.checkpoint_seconds),
        ),
        stop=stop,
        address=held.options.address,
    )
    try:
        with (
            stop_on_signals(stop),
            _files_kept(held, stop),
            watch_run(run.path, held.storage, stop),
        ):
            try:
                _run_trials(session, held.options.engine)
            finally:
                ledger.close()
            _check_ended(session, run)
            shutil.rmtree(run.checkpoints, ignore_errors=True)
            evaluate_finished(prepared, study, ledger.records, run.models, stop=stop)
            _check_ended(session, run)
            ledger.note_finished()
            if prepared.spec.report.diagnostics != ():
                board = run.command("study", "leaderboard")
                held.options.callback.announce(
                    f"{board} prints the result while the report is made"
                )
            diagnose(
                FinishedStudy(
                    run=run,
                    prepared=prepared,
                    records=ledger.records,
                    stop=stop,
                    show=held.options.callback.begin_phase,
                )
            )
            _check_ended(session, run)
    except InfrastructureError as error:
        if stop.signal_number is not None:  # it was stopped during an outage
            raise _interruption(run, stop) from error
        cause = stop.fault or error  # what was seen first
        if isinstance(cause, TakenOverError):
            raise cause from None  # the study goes on elsewhere
        raise InfrastructureError(f"{cause}. {_resume_hint(run)}") from error
    finally:
        stop.close()
    _check_any_success(ledger)


@contextmanager
def _files_kept(held: _HeldStudy, stop: StopRequest) -> Iterator[None]:
    """Write the run's own files again at the end, if only they were deleted in the meantime.

    The study can then be resumed. In a folder that is another one now, nothing is written.
    """
    noted = held.run.noted_storage
    try:
        yield
    finally:
        if stop.fault is None:
            held.run.restore(held.prepared.spec.to_data(), noted)


def _run_trials(session: RunSession, engine: EngineName) -> None:
    if session.ledger.is_finished:
        return  # a resume has nothing left to train, so Ray need not start
    if engine == "serial":
        from searchlab.engine.serial import run_serially

        run_serially(session)
    else:
        from searchlab.engine.ray.tune import run_on_ray

        run_on_ray(session)


def _check_ended(session: RunSession, run: RunFolder) -> None:
    if session.stop.fault is not None:
        raise session.stop.fault
    if session.stop.is_made:
        raise _interruption(run, session.stop)
    if not session.ledger.is_finished:
        raise StudyFailedError(f"the engine ended before the study did. {_resume_hint(run)}")


def _interruption(run: RunFolder, stop: StopRequest) -> InterruptedStudyError:
    return InterruptedStudyError(f"Stopped. {_resume_hint(run)}", exit_code=stop.exit_code)


def _resume_hint(run: RunFolder) -> str:
    return f"Continue with: {run.command('study', 'resume')}"


def _check_any_success(ledger: Ledger) -> None:
    searched = [record for record in ledger.records if record.role == "search"]
    if searched and all(record.state == "FAIL" for record in searched):
        first = searched[0]
        raise StudyFailedError(
            f"all {len(searched)} search trials failed; #{first.number} with {first.error}"
        )


def _quieten_optuna() -> None:
    # The callback shows the progress; Optuna would add a line for each trial.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
