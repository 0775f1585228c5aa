"""Both engines run the same study; what either records is honest and repeatable to the bit."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from small_studies import ONE_TRIAL, describe_trials, read_trials, resume, run_study

from searchlab.engine.ray.adapters import LedgerScheduler
from searchlab.errors import InfrastructureError, StudyFailedError
from searchlab.records import trial_record as attr
from searchlab.records.run_folder import RunFolder
from searchlab.study.ledger import Ledger
from searchlab.study.progress import FinishedTrials
from searchlab.training.results import EpochResult
from searchlab.training.run import TrialRun


@pytest.fixture(scope="module")
def tune_run(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> RunFolder:
    return run_study(tmp_path_factory.mktemp("tune"), "tune")


def test_both_engines_give_the_same_trials(serial_run: RunFolder, tune_run: RunFolder) -> None:
    assert describe_trials(tune_run) == describe_trials(serial_run)


def test_the_serial_engine_trains_on_repeatable_kernels_and_gives_the_settings_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, seen = TrialRun.step, set()

    def note(trial: TrialRun) -> EpochResult:
        seen.add((torch.backends.cudnn.deterministic, torch.get_num_threads()))
        return step(trial)

    monkeypatch.setattr(TrialRun, "step", note)
    num_threads = torch.get_num_threads()
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    run_study(tmp_path, "serial", **ONE_TRIAL)
    assert seen == {(True, 1)}
    assert (torch.backends.cudnn.deterministic, torch.get_num_threads()) == (False, num_threads)


def test_exactly_the_trials_asked_for(tune_run: RunFolder) -> None:
    roles = [trial.user_attrs["role"] for trial in read_trials(tune_run)]
    assert roles == ["baseline"] * 2 + ["search"] * 12 + ["finalist"] * 2
    states = {trial.state.name for trial in read_trials(tune_run)}
    assert states == {"COMPLETE", "PRUNED"}  # the median pruner stops some, so both engines do


def test_a_finalist_repeats_its_search_trial_to_the_bit(tune_run: RunFolder) -> None:
    trials = read_trials(tune_run)
    finalists = [trial for trial in trials if trial.user_attrs["role"] == "finalist"]
    assert len(finalists) == 2
    for trial in finalists:
        original = trials[trial.user_attrs["finalist_of"]]
        assert trial.params == original.params
        assert trial.value == original.value
        assert trial.intermediate_values == original.intermediate_values


def test_test_figures_and_models_are_of_baselines_and_finalists_only(tune_run: RunFolder) -> None:
    confirmed = set()
    for trial in read_trials(tune_run):
        held = {name for name in trial.user_attrs if "test" in name}
        if trial.user_attrs["role"] == "search":
            assert held == set()
        else:
            assert held == {"test_accuracy", "test_loss"}
            assert 0 <= trial.user_attrs["test_accuracy"] <= 1
            assert len(trial.user_attrs["fold_values"]) == 2
            confirmed.add(f"trial-{trial.number:05d}.safetensors")
            confirmed.add(f"trial-{trial.number:05d}-held-out.safetensors")
    assert {path.name for path in tune_run.models.iterdir()} == confirmed


def test_a_finished_run_leaves_no_checkpoints(serial_run: RunFolder, tune_run: RunFolder) -> None:
    assert not serial_run.checkpoints.exists()
    assert not tune_run.checkpoints.exists()


@pytest.mark.parametrize("engine", ["serial", "tune"])
def test_a_finished_study_resumed_stays_as_it_is(
    engine: Any, serial_run: RunFolder, local_ray: None
) -> None:
    before = describe_trials(serial_run)
    resume(serial_run, engine)
    assert describe_trials(serial_run) == before


# Fails the baselines and finalists of studies run while the file is there: those of this test.
FAILING_PLUGIN = """
from pathlib import Path
from searchlab.training.cohort import Cohort

sound = Cohort.run_epoch

def run_epoch(cohort):
    if cohort.config.role != "search" and Path({trigger!r}).exists():
        raise FileNotFoundError(2, "No such file", "the-trials-own.txt")
    return sound(cohort)

Cohort.run_epoch = run_epoch
"""


@pytest.mark.parametrize("engine", ["serial", pytest.param("tune", marks=pytest.mark.slow)])
def test_a_trial_that_fails_in_its_worker_is_fail_with_its_error(
    engine: Any, tmp_path: Path, local_ray: None
) -> None:
    trigger = tmp_path / "trigger"
    trigger.touch()
    plugin = tmp_path / "failing.py"
    plugin.write_text(FAILING_PLUGIN.format(trigger=str(trigger)))
    run = run_study(
        tmp_path,
        engine,
        training={"epochs": 1},
        search={"trials": 1},
        confirm={"top": 1, "repeats": 0},
        plugins=[str(plugin)],
    )
    trigger.unlink()
    trials = read_trials(run)
    assert len(trials) == 4
    for trial in trials:
        if trial.user_attrs["role"] == "search":
            assert trial.state.name == "COMPLETE"
        else:
            assert (trial.state.name, trial.value) == ("FAIL", None)
            assert trial.user_attrs["stop_reason"] == "error"
            assert trial.user_attrs["error"].startswith("FileNotFoundError: ")


@pytest.mark.parametrize("engine", ["serial", pytest.param("tune", marks=pytest.mark.slow)])
def test_a_run_folder_that_takes_no_model_stops_the_study_and_spends_no_trial(
    engine: Any, tmp_path: Path, local_ray: None
) -> None:
    run = RunFolder(tmp_path / "runs" / "tiny")
    run.path.mkdir(parents=True)
    run.models.parent.write_text("in the way")
    changes = {"training": {"epochs": 1}, "search": {"trials": 1}, "confirm": {"top": 0}}
    with pytest.raises(InfrastructureError, match=r"could not write its files.*Not a directory"):
        run_study(tmp_path, engine, **changes)
    assert {trial.state.name for trial in read_trials(run)} == {"RUNNING"}
    run.models.parent.unlink()
    resume(run)
    assert [trial.state.name for trial in read_trials(run)] == ["COMPLETE"] * 3


@pytest.mark.parametrize("engine", ["serial", pytest.param("tune", marks=pytest.mark.slow)])
def test_a_diverged_trial_is_pruned_with_reason(
    engine: Any, tmp_path: Path, local_ray: None
) -> None:
    parameters = {"lr": [0.01, 1000], "optimizer": ["adam", "sgd"], "family": "fcn"}
    search = {"sampler": "grid", "trials": 4, "pruner": "none"}
    run = run_study(
        tmp_path,
        engine,
        space={"parameters": parameters},
        **{**ONE_TRIAL, "search": search, "training": {"epochs": 3, "lr": 0.01}},
    )
    diverged = [t for t in read_trials(run) if t.user_attrs.get("stop_reason") == "diverged"]
    assert diverged
    for trial in diverged:
        assert trial.state.name == "PRUNED"
        assert trial.params["lr"] == 1000


def _children_of_this_ray() -> set[int]:
    """Process ids of the actors that descend from this process."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                names[int(entry.name)] = (entry / "cmdline").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])

    def is_mine(pid: int) -> bool:
        while pid > 1 and pid != os.getpid():
            pid = parents.get(pid, 0)
        return pid == os.getpid()

    return {pid for pid, name in names.items() if "ray::" in name and is_mine(pid)}


@pytest.fixture
def worker_killed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Kill the worker after epoch 2 of trial 3; return the trials so met."""
    killed: list[int] = []
    report = Ledger.report

    def report_and_kill(self: Ledger, result: EpochResult) -> bool:
        pruned = report(self, result)
        if result.number == 3 and result.epoch == 2 and not killed:
            killed.append(result.number)
            victims = {
                trial.temporary_state.ray_actor
                for trial in schedulers[-1].live.values()
                if trial.temporary_state.ray_actor is not None
            }
            pids = {_pid_of(victim) for victim in victims} & _children_of_this_ray()
            assert pids
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        return pruned

    schedulers: list[LedgerScheduler] = []
    make = LedgerScheduler.__init__

    def remember(self: LedgerScheduler, *arguments: Any) -> None:
        make(self, *arguments)
        schedulers.append(self)

    monkeypatch.setattr(LedgerScheduler, "__init__", remember)
    monkeypatch.setattr(Ledger, "report", report_and_kill)
    return killed


def _pid_of(actor: Any) -> int:
    import ray

    pid: int = ray.get(actor.get_auto_filled_metrics.remote())["pid"]
    return pid


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_changes_no_figure(
    tmp_path: Path, serial_run: RunFolder, local_ray: None, worker_killed: list[int]
) -> None:
    run = run_study(tmp_path, "tune")
    assert worker_killed == [3]
    assert describe_trials(run) == describe_trials(serial_run)


def test_a_study_of_which_every_search_trial_failed_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("no memory\nand a long story")

    monkeypatch.setattr("searchlab.engine.serial.TrialRun", refuse)
    search = {"trials": 2, "max_failures_in_row": None}
    with pytest.raises(StudyFailedError, match="all 2 search trials failed; #0 with") as error:
        run_study(tmp_path, "serial", **{**ONE_TRIAL, "search": search})
    assert "RuntimeError: no memory" in str(error.value)
    assert "story" not in str(error.value)


def test_a_configuration_that_is_asked_for_again_has_the_bits_of_training_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_point = {"parameters": {"lr": 0.01, "family": {"fcn": {"depth": 1, "width": 8}}}}
    changes: dict[str, Any] = {
        "space": one_point, "search": {"trials": 3}, "training": {"epochs": 2},
        "baselines": {"architectures": []}, "confirm": {"top": 0},
    }  # fmt: skip
    answered = run_study(tmp_path / "answered", "serial", **changes)
    monkeypatch.setattr(FinishedTrials, "find_result", lambda *_: None)
    trained = run_study(tmp_path / "trained", "serial", **changes)
    ours, theirs = (read_trials(run) for run in (answered, trained))
    assert [trial.user_attrs.get(attr.SAME_AS) for trial in ours] == [None, 0, 0]
    for one, other in zip(ours, theirs, strict=True):
        assert (one.values, one.intermediate_values) == (other.values, other.intermediate_values)
        curves, expected = one.system_attrs[attr.CURVES], other.system_attrs[attr.CURVES]
        assert {**curves, "seconds": None} == {**expected, "seconds": None}
