"""``searchlab doctor``: exit codes, output, and damage planted in a real storage."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest
import typer
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial
from typer.testing import CliRunner, Result

from searchlab.cli.doctor import EXAMPLES, doctor
from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage

STUDY = {
    "name": "toy",
    "dataset": {"name": "digits"},
    "space": {"parameters": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "family": ["cnn"]}},
    "search": {"sampler": "random", "trials": 3},
    "training": {"epochs": 2},
    "validation": {"folds": 3, "search_folds": 1},
    "confirm": {"top": 0},
}


def _add(run: RunFolder, lr: float | None) -> None:
    known = {} if lr is None else {"lr": lr, "family": "cnn"}
    distributions = {
        "lr": FloatDistribution(1e-4, 1e-1, log=True),
        "family": CategoricalDistribution(("cnn",)),
    }
    study = optuna.load_study(study_name="toy", storage=open_storage(run.storage_url()))
    study.add_trial(
        create_trial(
            state=TrialState.COMPLETE,
            value=0.9,
            params=known,
            distributions={name: distributions[name] for name in known},
            intermediate_values={1: 0.8, 2: 0.9},
            user_attrs={"role": "search", "label": "cnn", "epochs": 2, "fold_values": [0.9]},
        )
    )


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "toy")
    folder.write(STUDY)
    storage = open_storage(folder.storage_url())
    study = optuna.create_study(study_name="toy", storage=storage, direction="maximize")
    study.set_user_attr("searchlab.progress", {"finished": True, "totals": {"search": 3}})
    _add(folder, 0.01)
    _add(folder, 0.02)
    return folder


def _call(*args: object) -> Result:
    app = typer.Typer()
    app.command(epilog=EXAMPLES)(doctor)
    environment = {"COLUMNS": "80", "RAY_ADDRESS": None, "SEARCHLAB_STORAGE": None}
    return CliRunner().invoke(app, [str(arg) for arg in args], env=environment)


def _diagnose(run: RunFolder, *args: str) -> Result:
    return _call(run.path.name, "--runs-dir", run.path.parent, *args)


def test_a_clean_run_says_so_and_ends_with_0(run: RunFolder) -> None:
    result = _diagnose(run)
    assert result.exit_code == 0, result.output
    assert result.stdout == "toy: no damage found (2 trials, 12 rules)\n"


def test_a_problem_is_told_with_its_remedy_and_ends_with_1(run: RunFolder) -> None:
    _add(run, None)
    result = _diagnose(run)
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert "problem joint-space-emptied trial #2 finished without parameters" in text
    assert "searchlab study run" in text
    assert text.endswith("toy: 1 problem (3 trials, 12 rules)")


def test_a_warning_alone_ends_with_0(run: RunFolder) -> None:
    _add(run, 0.01)
    result = _diagnose(run)
    assert result.exit_code == 0
    assert "warning  duplicates" in result.stdout
    assert "toy: 1 warning (3 trials, 12 rules)" in result.stdout


def test_looking_at_a_run_changes_nothing(run: RunFolder) -> None:
    before = sorted(path.name for path in run.path.iterdir() if "study.db-" not in path.name)
    _diagnose(run)
    after = sorted(path.name for path in run.path.iterdir() if "study.db-" not in path.name)
    assert after == before


def test_json_has_the_documented_keys(run: RunFolder) -> None:
    _add(run, None)
    result = _diagnose(run, "--json")
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    assert set(data) == {"study", "num_trials", "findings", "rules", "unchecked"}
    [finding] = data["findings"]
    assert set(finding) == {"rule", "severity", "message", "remedy", "command", "trials"}
    assert (finding["rule"], finding["trials"]) == ("joint-space-emptied", [2])
    assert len(data["rules"]) == 12
    assert data["unchecked"] == {}


def test_the_environment_is_looked_at_without_a_run(tmp_path: Path) -> None:
    folders = ("--runs-dir", tmp_path / "runs", "--data-dir", tmp_path / "data")
    result = _call("--json", *folders)
    checks = json.loads(result.stdout)["environment"]
    assert {"Python", "torch", "ray", "CPU", "runs folder", "datasets"} <= {
        check["name"] for check in checks
    }
    has_problem = any(check["status"] == "problem" for check in checks)
    assert result.exit_code == int(has_problem)
    text = _call(*folders).stdout
    assert f"{tmp_path}" in "".join(text.split())


def test_an_unknown_run_is_bad_input_with_the_nearest_name(run: RunFolder) -> None:
    result = _call("toys", "--runs-dir", run.path.parent)
    assert isinstance(result.exception, InputError)
    assert "Did you mean toy?" in str(result.exception)
