"""``study list | status | best | leaderboard`` on a study recorded by plain Optuna."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
import typer
import yaml
from filelock import FileLock
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from toy_runs import invoke, make_toy
from typer.testing import CliRunner, Result

from searchlab.cli.study_read import register
from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage

STUDY: dict[str, Any] = {
    "name": "toy",
    "dataset": {"name": "digits"},
    "space": {"parameters": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "family": "cnn"}},
    "search": {"sampler": "random", "trials": 3},
    "validation": {"folds": 3, "search_folds": 1},
    "baselines": {"architectures": ["a2"], "schemes": ["DT"]},
    "confirm": {"top": 1, "repeats": 0},
}
TRIAL_KEYS = {
    "rank", "number", "role", "label", "name", "state", "value", "cv_mean", "cv_std", "fold_values",
    "epochs", "seconds", "stop_reason", "finalist_of", "values", "on_front", "params", "same_as",
    "num_parameters", "multiply_adds", "latency_ms",
    "accuracy", "loss", "balanced_accuracy", "macro_f1", "robust_accuracy",
    "test_accuracy", "test_loss", "test_balanced_accuracy", "test_macro_f1",
    "test_robust_accuracy",
}  # fmt: skip


def _add(study: optuna.Study, role: str, value: float, **attrs: Any) -> None:
    state = attrs.pop("state", TrialState.COMPLETE)
    study.add_trial(
        create_trial(
            state=state,
            value=value,
            params={"lr": 0.01},
            distributions={"lr": FloatDistribution(1e-4, 1e-1, log=True)},
            user_attrs={
                "role": role,
                "label": "cnn",
                "epochs": 8,
                "seconds": 2.1,
                "num_parameters": 12345,
                **attrs,
            },
        )
    )


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "toy")
    folder.write(STUDY)
    storage = open_storage(folder.storage_url())
    study = optuna.create_study(study_name="toy", storage=storage, direction="maximize")
    progress = {"finished": True, "totals": {"baseline": 1, "search": 3, "finalist": 1}}
    study.set_user_attr("searchlab.progress", progress)
    base = [0.94, 0.95, 0.96]
    _add(study, "baseline", 0.94, label="a2/DT", fold_values=base, test_accuracy=0.93)
    _add(study, "search", 0.95)
    _add(study, "search", 0.97)
    _add(study, "search", 0.5, state=TrialState.PRUNED, stop_reason="pruned")
    best = [0.97, 0.981, 0.989]
    _add(study, "finalist", 0.97, fold_values=best, finalist_of=2, test_accuracy=0.975)
    return folder


@pytest.fixture
def interrupted(run: RunFolder) -> RunFolder:
    storage = open_storage(run.storage_url())
    optuna.load_study(study_name="toy", storage=storage).ask()
    return run


def _call(run: RunFolder, command: str, *args: str) -> Result:
    app = typer.Typer()
    register(app)
    names = [] if command == "list" else [run.path.name]
    runs_dir = ["--runs-dir", str(run.path.parent)]
    return CliRunner().invoke(app, [command, *names, *args, *runs_dir], env={"COLUMNS": "80"})


def _call_json(run: RunFolder, command: str, *args: str) -> Any:
    result = _call(run, command, "--json", *args)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_leaderboard_ends_with_the_verdict(run: RunFolder) -> None:
    text = " ".join(_call(run, "leaderboard").stdout.split())
    assert "#4 cnn finalist 98.00 ± 0.95 97.50 97.00 12,345" in text
    assert "UNDECIDED. #4 cnn is not shown to differ from the best baseline #0 a2/DT: 3.00" in text


@pytest.mark.parametrize("option", [(), ("--markdown",)])
def test_the_verdict_is_the_last_that_is_said(run: RunFolder, option: tuple[str, ...]) -> None:
    table, _, verdict = _call(run, "leaderboard", *option).stdout.partition("UNDECIDED")
    assert "not shown to differ" in " ".join(verdict.split())
    assert "98.00" in table
    assert "12,345" not in verdict


def test_the_legend_is_for_those_who_ask(run: RunFolder) -> None:
    meaning = "standard deviation over all folds"
    assert meaning not in _call(run, "leaderboard").stdout
    for arguments in (["--legend"], ["--legend", "--markdown"], ["--help"]):
        assert meaning in " ".join(_call(run, "leaderboard", *arguments).stdout.split())
    refused = _call(run, "leaderboard", "--legend", "--json").exception
    assert isinstance(refused, InputError)


@pytest.mark.parametrize(("role", "number"), [("finalist", 4), ("baseline", 0)])
def test_best_of_a_role(run: RunFolder, role: str, number: int) -> None:
    assert _call_json(run, "best", "--role", role)["trial"]["number"] == number


def test_best_names_a_baseline_that_is_ahead_of_the_finalist(run: RunFolder) -> None:
    study = optuna.load_study(study_name="toy", storage=open_storage(run.storage_url()))
    folds = [0.99, 0.99, 0.98]
    _add(study, "baseline", 0.99, label="a1/HT", fold_values=folds)
    assert "# #5 a1/HT (baseline)" in _call(run, "best").stdout
    assert "#5 a1/HT" in _call(run, "list").stdout
    assert "best: #5 a1/HT (baseline)" in _call(run, "status").stdout


def test_best_of_a_role_that_nothing_is_ranked_in_says_so(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "toy")
    folder.write(STUDY)
    storage = open_storage(folder.storage_url())
    study = optuna.create_study(study_name="toy", storage=storage, direction="maximize")
    refused = _call(folder, "best", "--role", "finalist").exception
    assert isinstance(refused, InputError)
    assert "has no ranked finalist yet" in str(refused)
    assert "has no finished trial yet" in str(_call(folder, "best").exception)
    _add(study, "search", 0.95)
    assert "# #0 cnn (search)" in _call(folder, "best").stdout


def test_leaderboard_json_has_the_documented_keys(run: RunFolder) -> None:
    data = _call_json(run, "leaderboard", "--all")
    assert set(data) == {
        "study", "metric", "metrics", "num_folds", "search_folds", "quick_look", "trials",
        "num_hidden", "comparisons", "published", "verdict",
    }  # fmt: skip
    assert all(set(trial) == TRIAL_KEYS for trial in data["trials"])
    assert set(data["verdict"]) == {
        "answer", "outcome", "challenger", "incumbent", "basis", "difference", "interval",
        "p_value", "num_folds", "num_images", "num_repeats", "text", "details",
    }  # fmt: skip
    assert [trial["number"] for trial in data["trials"]] == [4, 0, 2, 1, 3]
    assert all(trial["name"].startswith(trial["label"]) for trial in data["trials"])
    searched = [trial for trial in data["trials"] if trial["role"] == "search"]
    assert [trial["test_accuracy"] for trial in searched] == [None, None, None]


def test_status_of_a_finished_study_names_no_resume_command(run: RunFolder) -> None:
    result = _call(run, "status")
    assert result.stdout.startswith("toy: finished\n")
    assert str(run.database) in result.stdout
    assert "resume" not in result.stdout
    assert _call_json(run, "status")["roles"]["search"]["pruned"] == 1


def test_status_of_an_interrupted_study_says_how_to_carry_on(interrupted: RunFolder) -> None:
    command = f"searchlab study resume {interrupted.path}"
    assert f"resume: {command}" in _call(interrupted, "status").stdout
    data = _call_json(interrupted, "status")
    assert (data["state"], data["resume"]) == ("interrupted", command)
    with FileLock(interrupted.lock_file):
        assert _call_json(interrupted, "status")["state"] == "running"


def test_resume_command_repeats_the_storage_option(interrupted: RunFolder) -> None:
    url = interrupted.storage_url()
    assert f"--storage {url}" in _call_json(interrupted, "status", "--storage", url)["resume"]


def test_best_prints_yaml_with_figures_as_comments(run: RunFolder) -> None:
    text = _call(run, "best").stdout
    assert yaml.safe_load(text) == {"lr": 0.01}, "all that is known of a trial of plain Optuna"
    assert "# #4 cnn (finalist, search trial #2 on all folds)" in text
    assert _call_json(run, "best")["trial"]["params"] == {"lr": 0.01}


def test_list_shows_every_study_and_survives_an_unreadable_one(run: RunFolder) -> None:
    RunFolder(run.path.parent / "empty").write({**STUDY, "name": "empty"})
    found = {item["name"]: item for item in _call_json(run, "list")}
    assert (found["toy"]["state"], found["toy"]["ended"], found["toy"]["total"]) == (
        "finished",
        5,
        5,
    )
    assert found["toy"]["best"]["number"] == 4
    assert found["empty"]["state"] == "unreadable"
    text = _call(run, "list").stdout
    assert "98.00 % #4 cnn" in text
    assert "holds no study named empty" in " ".join(text.split())


def test_list_of_nothing_says_what_to_run(tmp_path: Path) -> None:
    result = _call(RunFolder(tmp_path / "runs" / "none"), "list")
    assert result.exit_code == 0
    assert "searchlab study run" in result.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["status", "best", "leaderboard"])
def test_an_unknown_run_is_bad_input_with_the_nearest_name(run: RunFolder, command: str) -> None:
    result = _call(RunFolder(run.path.parent / "toys"), command)
    assert isinstance(result.exception, InputError)
    assert "Did you mean toy?" in str(result.exception)


@pytest.mark.parametrize(
    "command",
    [("leaderboard", "toy", "--all", "--json"), ("best", "toy", "--json"), ("best", "toy")],
    ids=" ".join,
)
def test_values_that_were_recorded_in_floats_are_printed_as_people_write_them(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    run = make_toy(tmp_path)
    study = optuna.load_study(study_name=None, storage=run.storage_url(None))
    dropout, smoothing = FloatDistribution(0.1, 0.7, step=0.1), FloatDistribution(0, 1, step=0.2)
    study.add_trial(
        create_trial(
            state=TrialState.COMPLETE,
            value=0.9,
            params={"dropout": 0.1 + 2 * 0.1, "label_smoothing": 3 * 0.2},
            distributions={
                "dropout": dropout,
                "label_smoothing": smoothing,
            },
            user_attrs={"role": "search", "label": "cnn", "epochs": 2, "seconds": 1.0},
        )
    )
    name, *options = command
    printed = invoke("study", name, *options, "--runs-dir", tmp_path).output
    assert "00000004" not in printed
    assert "0.6000000000000001" not in printed
    assert "0.3" in printed
    assert "0.6" in printed
