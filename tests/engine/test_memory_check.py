"""Trying the largest model: what is made of one that does not fit, or does not work at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ray.exceptions
import torch
from small_studies import NO_DATA, read_trials, run_study, write_study

from searchlab.config.loading import load_study
from searchlab.config.trial import TrialConfig
from searchlab.engine.ray import memory_check, tune
from searchlab.engine.ray.node_facts import ClusterFacts, NodeFacts
from searchlab.study.ledger import Ledger
from searchlab.study.preparation.largest_model import find_largest_model
from searchlab.study.preparation.prepared_study import PreparedStudy, prepare_study
from searchlab.training import member
from searchlab.training.failures import Failure, FailureKind
from searchlab.training.memory_check import ProbeResult

HERE = ClusterFacts(
    is_ours=True,
    nodes=(
        NodeFacts(
            node_id="a", address="127.0.0.1", hostname="", cpus=2.0, gpus=0.0,
            memory_bytes=10**10, object_store_bytes=10**9, alive=True,
        ),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedStudy:
    return prepare_study(load_study(write_study(tmp_path_factory.mktemp("tiny"))), data_dir=NO_DATA)


@pytest.fixture(scope="module")
def config(prepared: PreparedStudy) -> TrialConfig:
    found = find_largest_model(prepared)
    assert found is not None
    return found


@pytest.fixture
def splits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The parts in which batches were tried, in this process."""
    monkeypatch.setattr(memory_check, "_is_this_machine", lambda cluster: True)
    return []


def fail_with(
    monkeypatch: pytest.MonkeyPatch, splits: list[int], error: Exception, *, up_to: int
) -> None:
    """Have every probe fail whose batches are in no more than so many parts."""
    original = memory_check.probe_training

    def probe(*arguments: Any, batch_split: int = 1) -> ProbeResult:
        splits.append(batch_split)
        if batch_split <= up_to:
            raise error
        return original(*arguments, batch_split=batch_split)

    monkeypatch.setattr(memory_check, "probe_training", probe)


def test_a_model_that_does_not_fit_whole_is_tried_in_parts(
    monkeypatch: pytest.MonkeyPatch,
    splits: list[int],
    config: TrialConfig,
    prepared: PreparedStudy,
) -> None:
    fail_with(monkeypatch, splits, torch.OutOfMemoryError("CUDA out of memory"), up_to=1)
    outcome = memory_check.try_config(config, HERE, prepared)
    assert splits == [1, 4]
    assert isinstance(outcome, ProbeResult)
    assert outcome.batch_split == 4
    assert "batch 512 in 4 parts" in memory_check.describe_probe(config, outcome)


@pytest.mark.parametrize(
    ("error", "failure", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"),
         Failure(kind="oom", message="OutOfMemoryError: CUDA out of memory"), [1, 4]),
        (ZeroDivisionError("a plugin's own"),
         Failure(kind="error", message="ZeroDivisionError: a plugin's own"), [1]),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_tried_is_described(
    monkeypatch: pytest.MonkeyPatch,
    splits: list[int],
    config: TrialConfig,
    prepared: PreparedStudy,
    error: Exception,
    failure: Failure,
    expected: list[int],
) -> None:
    fail_with(monkeypatch, splits, error, up_to=4)
    assert memory_check.try_config(config, HERE, prepared) == failure
    assert splits == expected


class FakeTask:
    """Stands for the remote probe: each attempt ends as listed."""

    def __init__(self, *endings: Any) -> None:
        self.endings = list(endings)
        self.splits: list[tuple[int, ...]] = []

    def __call__(self, function: Any) -> FakeTask:
        return self

    def remote(self, text: str, images: Any, folds: Any, splits: tuple[int, ...]) -> None:
        self.splits.append(splits)

    def get(self, pending: Any) -> Any:
        ending = self.endings.pop(0)
        if isinstance(ending, Exception):
            raise ending
        return ending


MEASURED = ProbeResult(
    peak_bytes=1, images_per_second=1.0, num_parameters=1, bytes_per_member=1, batch_split=4
)
KILLED = ray.exceptions.OutOfMemoryError("Task was killed due to the node running low on memory.")
CRASHED = ray.exceptions.WorkerCrashedError()
RAISED = ray.exceptions.RayTaskError("probe", "a traceback", ValueError("no such plugin"))


@pytest.mark.parametrize(
    ("endings", "expected"),
    [
        ([MEASURED], MEASURED),
        ([KILLED, MEASURED], MEASURED),
        ([CRASHED, MEASURED], MEASURED),
        ([KILLED, CRASHED], "oom: WorkerCrashedError: The worker died unexpectedly"),
        ([RAISED.as_instanceof_cause()], "error: ValueError: no such plugin"),
        ([KILLED, RAISED], "error: ValueError: no such plugin"),
    ],
)
def test_a_process_killed_at_a_probe_elsewhere_is_taken_for_too_little_memory(
    monkeypatch: pytest.MonkeyPatch,
    config: TrialConfig,
    prepared: PreparedStudy,
    endings: list[Any],
    expected: ProbeResult | str,
) -> None:
    task = FakeTask(*endings)
    monkeypatch.setattr(memory_check, "_is_this_machine", lambda cluster: False)
    monkeypatch.setattr(ray, "remote", lambda **options: task)
    monkeypatch.setattr(ray, "put", lambda value: value)
    monkeypatch.setattr(ray, "get", task.get)
    outcome = memory_check.try_config(config, HERE, prepared)
    assert task.splits == [(1, 4), (4,)][: len(endings)]
    if isinstance(outcome, Failure):
        assert isinstance(expected, str)
        assert f"{outcome.kind}: {outcome.message}".startswith(expected)
    else:
        assert outcome == expected


class FakeLedger:
    """Remembers what it is told to announce."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def announce(self, message: str) -> None:
        self.said.append(message)

    def begin_phase(self, phase: str) -> None:
        """Show nothing."""


@pytest.mark.parametrize("kind", ["oom", "error", "device"])
def test_workers_go_by_cores_where_the_largest_model_cannot_be_tried(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    prepared: PreparedStudy,
    kind: FailureKind,
) -> None:
    failure = Failure(kind=kind, message="E: too big")
    monkeypatch.setattr(tune, "try_config", lambda *_: failure)
    ledger = FakeLedger()
    placement = tune._place_by_probe(HERE, ledger, prepared)  # type: ignore[arg-type]
    assert caplog.messages == ["the probe of the largest model failed: E: too big"]
    assert placement.request == {"cpu": 1.0, "gpu": 0.0}
    assert placement.is_short_of_memory is (kind == "oom")


def test_workers_go_by_cores_where_no_model_is_the_largest(
    monkeypatch: pytest.MonkeyPatch, prepared: PreparedStudy
) -> None:
    monkeypatch.setattr(tune, "find_largest_model", lambda _: None)
    monkeypatch.setattr(tune, "try_config", None)
    ledger = FakeLedger()
    placement = tune._place_by_probe(HERE, ledger, prepared)  # type: ignore[arg-type]
    assert ["no model was probed" in line for line in ledger.said] == [True]
    assert not placement.is_short_of_memory


# Stands for a device that holds no more than 256 images.
PLUGIN = """
import torch
from searchlab.training import member

original = member.predict

def predict(model, inputs, *more):
    if len(inputs) > 256:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return original(model, inputs, *more)

member.predict = predict
"""


@pytest.mark.slow
def test_a_study_whose_largest_model_does_not_fit_whole_completes_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_ray: None
) -> None:
    plugin = tmp_path / "small_device.py"
    plugin.write_text(PLUGIN)
    monkeypatch.setattr(member, "predict", member.predict)  # the plugin patches this process too
    said: list[str] = []
    monkeypatch.setattr(Ledger, "announce", lambda ledger, message: said.append(message))
    run = run_study(
        tmp_path,
        "tune",
        plugins=[str(plugin)],
        space={"parameters": {"lr": [0.01, 0.02], "family": "cnn"}},
        search={"trials": 2},
        training={"epochs": 1, "batch_size": 512},
        baselines={"architectures": []},
        confirm={"top": 0},
    )
    assert any("batch 512 in 4 parts" in line for line in said)
    assert any("may not fit into memory" in line for line in said)
    trials = read_trials(run)
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 2
    assert [trial.user_attrs["batch_split"] for trial in trials] == [4, 4]
