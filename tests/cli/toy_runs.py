"""A small recorded run, and the two groups of commands that move studies, as one app."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import optuna
import typer
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from typer.testing import CliRunner, Result

from searchlab.cli import storage, study_move, study_read
from searchlab.errors import SearchlabError
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage, sqlite_url

STUDY: dict[str, Any] = {
    "name": "toy",
    "dataset": {"name": "digits"},
    "space": {"parameters": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "family": "cnn"}},
    "search": {"sampler": "random", "trials": 3},
    "validation": {"folds": 3, "search_folds": 1},
}


def make_toy(runs_dir: Path, storage_url: str | None = None) -> RunFolder:
    """Record a run with two finished search trials and one in flight."""
    run = RunFolder(runs_dir / "toy")
    run.write(STUDY, storage_url)
    run.models.mkdir(parents=True)
    (run.models / "trial-00001.safetensors").write_bytes(b"weights")
    if storage_url is None:
        run.database.write_bytes(_read_recorded())
    else:
        _record(storage_url)
    return run


@functools.cache
def _read_recorded() -> bytes:
    """Return a database with the study: making one takes longer than most commands."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.db"
        _record(sqlite_url(file))
        assert [path.name for path in Path(folder).iterdir()] == ["study.db"], "it is all there"
        return file.read_bytes()


def _record(url: str) -> None:
    backend = open_storage(url)
    study = optuna.create_study(study_name="toy", storage=backend, direction="maximize")
    for value in (0.5, 0.75):
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                value=value,
                params={"lr": 0.01},
                distributions={"lr": FloatDistribution(1e-4, 1e-1, log=True)},
                user_attrs={"role": "search", "label": "cnn", "epochs": 2, "seconds": 1.0},
            )
        )
    study.ask()
    backend.close()


def make_app() -> typer.Typer:
    """Return the commands ``storage ...`` and ``study ...`` that these tests need."""
    app, group = typer.Typer(), typer.Typer()
    study_move.register(group)
    study_read.register(group)
    app.add_typer(storage.app, name="storage")
    app.add_typer(group, name="study")
    return app


def invoke(*arguments: object, fails: bool = False, stdin: str = "") -> Result:
    """Run a command in this process; its deliberate errors end it as ``main`` does."""
    result = CliRunner().invoke(make_app(), [str(one) for one in arguments], input=stdin)
    if isinstance(result.exception, SearchlabError):
        assert fails, result.exception
        result.exit_code = result.exception.exit_code
    elif not isinstance(result.exception, SystemExit | None):
        raise result.exception
    assert fails == (result.exit_code != 0), result.output
    return result
