"""Run folders whose trials nobody trained: a ledger records made-up results, in a moment."""

from __future__ import annotations

import atexit
import functools
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from ledger_driving import make_spec, open_ledger, open_study, run_to_end, train
from optuna.storages import BaseStorage
from quick_disk import sync_never

from searchlab.cli.dashboard import make_app
from searchlab.config.trial import TrialConfig
from searchlab.records.recorded_spec import shared_part
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage
from searchlab.records.trial_record import SPEC
from searchlab.report.dashboard.explained_run import ExplainedRun
from searchlab.report.dashboard.files import RunFiles
from searchlab.report.dashboard.storage import RunsStorage
from searchlab.study.ledger import Ledger

# Two baselines, six search trials, two finalists, and two confirmations of each rival.
WITH_CONFIRMATIONS: dict[str, Any] = {"confirm": {"repeats": 2}}


def drive_run(
    folder: Path,
    name: str = "driven",
    *,
    num_trials: int | None = None,
    train: Callable[[Ledger, TrialConfig], None] = train,
    **changes: Any,
) -> RunFolder:
    """Record a study, to its end or until so many trials have ended."""
    spec = make_spec(**{**WITH_CONFIRMATIONS, "name": name, **changes})
    run = RunFolder(folder / name)
    run.write(spec.to_data())
    storage = open_storage(run.storage_url())
    sync_never(storage.database)
    study = open_study(spec, storage)
    study.set_user_attr(SPEC, json.dumps(shared_part(spec)))
    ledger = open_ledger(spec, study)
    if num_trials is None:
        run_to_end(ledger, train)
        ledger.note_finished()
    for _ in range(num_trials or 0):
        config = ledger.ask()
        assert config is not None
        train(ledger, config)
    storage.close()
    return run


def copy_finished(folder: Path) -> RunFolder:
    """Return a copy of the study that ran to its end, which is recorded once."""
    return RunFolder(shutil.copytree(_record_finished().path, folder / "driven"))


@functools.cache
def _record_finished() -> RunFolder:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    return drive_run(folder)


def show(*runs: RunFolder) -> RunsStorage:
    """Return what the dashboard shows of runs, the first under the number 0."""
    shown = [ExplainedRun(run, None, slot=slot) for slot, run in enumerate(runs)]
    return RunsStorage(lambda: shown)


def ask(storage: BaseStorage, path: str) -> Any:
    """Ask the dashboard, as its pages do."""
    body = fetch(storage, path)
    return json.load(io.BytesIO(body))


def fetch(storage: BaseStorage, path: str) -> bytes:
    """Return what the dashboard answers."""
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    states: list[str] = []
    files = RunFiles(storage) if isinstance(storage, RunsStorage) else None
    body = b"".join(make_app(storage, files)(environ, lambda state, *_: states.append(state)))
    assert states == ["200 OK"], body
    return body
