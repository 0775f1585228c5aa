"""Trials that run out of memory: gone on with in smaller parts, once."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.attacks import AttackSpec
from searchlab.config.trial import FoldPlan, ModelConfig, TrialConfig
from searchlab.training import member as member_module
from searchlab.training.cohort import Cohort
from searchlab.training.failures import describe_failure
from searchlab.training.images import TrainingData
from searchlab.training.inference import predict
from searchlab.training.member import Member
from searchlab.training.memory import (
    BATCH_SPLIT,
    count_memory_failures,
    note_killed_for_memory,
    release_frames,
)
from searchlab.training.results import EpochResult
from searchlab.training.run import TrialFolders, TrialRun

PLAIN = ModelConfig(family="cnn", parameters={"width": 4})
SMOOTH = {"optimizer": "sgd", "lr": 0.05, "clip_norm": 0.5}  # no sign of a gradient near zero
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "augmentation and smoothing": {
        "augment": "flip+rotate+jitter+crop",
        "label_smoothing": 0.1,
        "epochs": 2,
    },
    "attacks": {
        "adversarial": "pgd",
        "attack_steps": 1,
        "epsilon": 0.05,
        "robustness": AttackSpec(epsilon=0.05),
        "epochs": 2,
    },
    "batches that four does not divide": {"batch_size": 37},
    "batches of few": {"batch_size": 3, "epochs": 1},
}


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits()


@pytest.fixture
def folders(tmp_path: Path) -> TrialFolders:
    return TrialFolders(checkpoints=tmp_path / "c", models=tmp_path / "m", checkpoint_seconds=1e9)


def configure(**changes: Any) -> TrialConfig:
    plan = FoldPlan(num_folds=5, folds=(0,), search_folds=1, test=True)
    defaults = {"model": PLAIN, "dropout": 0.0, **SMOOTH, "epochs": 3, "folds": plan}
    return make_trial(**{**defaults, **changes})


def run_all(run: TrialRun | Cohort) -> list[EpochResult]:
    step = run.step if isinstance(run, TrialRun) else run.run_epoch
    results = [step()]
    while not results[-1].done:
        results.append(step())
    return results


def assert_near(found: EpochResult, expected: EpochResult) -> None:
    assert (found.epoch, found.done) == (expected.epoch, expected.done)
    for fold, other in zip(found.folds, expected.folds, strict=True):
        assert fold.training["loss"] == pytest.approx(other.training["loss"], rel=1e-3)
        assert fold.validation["loss"] == pytest.approx(other.validation["loss"], rel=1e-3)
        assert fold.training["accuracy"] == pytest.approx(other.training["accuracy"], abs=5e-3)
        assert fold.validation["accuracy"] == pytest.approx(other.validation["accuracy"], abs=8e-3)
        assert fold.validation.keys() == other.validation.keys()
        if (robust := other.validation.get("robust_accuracy")) is not None:
            assert fold.validation["robust_accuracy"] == pytest.approx(robust, abs=2e-2)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n.startswith("batches") else n for n in SETTINGS],
)
def test_batches_in_parts_teach_the_same(digits: TrainingData, name: str) -> None:
    trial = configure(**SETTINGS[name])
    whole = run_all(Cohort(trial, digits))
    parts = run_all(Cohort(trial, digits, batch_split=BATCH_SPLIT))
    assert [result.batch_split for result in whole] == [1] * trial.settings.epochs
    assert [result.batch_split for result in parts] == [BATCH_SPLIT] * trial.settings.epochs
    for found, expected in zip(parts, whole, strict=True):
        assert_near(found, expected)
    assert parts[-1].test is not None
    assert whole[-1].test is not None
    assert parts[-1].test["loss"] == pytest.approx(whole[-1].test["loss"], rel=1e-3)


class Memory:
    """Stands for a device that holds ``most`` images, for as many failures as asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int, *, after: int = 0) -> None:
        self.most = most
        self.quiet_calls = after
        self.sizes: list[int] = []
        self.failures = 0
        self.models: list[weakref.ref[nn.Module]] = []
        self.inputs: list[weakref.ref[Tensor]] = []
        monkeypatch.setattr(member_module, "predict", self.predict)

    def predict(self, model: nn.Module, inputs: Tensor, *more: Any) -> Tensor:
        self.sizes.append(len(inputs))
        self.quiet_calls -= 1
        if self.quiet_calls < 0 and len(inputs) > self.most:
            self.failures += 1
            self.models.append(weakref.ref(model))
            self.inputs.append(weakref.ref(inputs))
            raise torch.OutOfMemoryError(f"CUDA out of memory on {len(inputs)} images")
        return predict(model, inputs, *more)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_trial_too_big_for_the_device_completes_in_parts(
    digits: TrainingData,
    folders: TrialFolders,
    monkeypatch: pytest.MonkeyPatch,
    batch_norm: bool,
) -> None:
    model = ModelConfig(family="cnn", parameters={"width": 4, "batch_norm": batch_norm})
    trial = configure(model=model, batch_size=512)
    expected = run_all(Cohort(trial, digits, batch_split=BATCH_SPLIT))
    memory = Memory(monkeypatch, most=256)
    results = run_all(TrialRun(trial, digits, folders))
    assert list(map(untimed, results)) == list(map(untimed, expected))
    assert memory.failures == 1
    assert count_memory_failures(folders.checkpoints, trial.number) == 1
    assert [result.batch_split for result in results] == [BATCH_SPLIT] * trial.settings.epochs
    # Wherever it is taken up again, it is not tried whole.
    memory.sizes.clear()
    TrialRun(trial, digits, folders).step()
    assert max(memory.sizes) <= 256


def test_a_trial_goes_on_from_its_checkpoint_and_returns_only_what_it_trains(
    digits: TrainingData, folders: TrialFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = configure(batch_size=512, epochs=4)
    whole = run_all(TrialRun(trial, digits, folders))
    run = TrialRun(trial, digits, folders)
    first = run.step()
    run.save()
    second = run.step()
    Memory(monkeypatch, most=256)
    after = run_all(run)
    assert [result.epoch for result in after] == [2, 3, 4]  # 2 was in no checkpoint
    assert not any(result.replayed for result in after)
    assert [result.batch_split for result in (first, second, *after)] == [1, 1, 4, 4, 4]
    for found, expected in zip([first, *after], whole, strict=True):
        assert_near(found, expected)
    # Taken up once more, every epoch says how it was trained.
    run.save()
    replayed = run_all(TrialRun(trial, digits, folders))
    assert [result.batch_split for result in replayed] == [1, 4, 4, 4]
    assert [untimed(replace(result, replayed=False)) for result in replayed[1:]] == [
        untimed(result) for result in after
    ]


def test_memory_that_runs_out_twice_fails_the_trial_and_is_let_go(
    digits: TrainingData, folders: TrialFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(monkeypatch, most=0)
    run = TrialRun(configure(adversarial="fgsm"), digits, folders)
    with pytest.raises(torch.OutOfMemoryError) as error:
        run.step()
    assert describe_failure(error.value).kind == "oom"
    assert memory.failures == 2
    gc.collect()
    # Though the error is still held, by whoever is to report it.
    assert [model() for model in memory.models] == [None, None]
    assert [inputs() for inputs in memory.inputs] == [None, None]
    assert count_memory_failures(folders.checkpoints, 7) == 1


def test_memory_that_runs_out_late_is_met_too(
    digits: TrainingData, folders: TrialFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In validation of the second epoch: 2 members, 3 batches of 512, and one to validate."""
    memory = Memory(monkeypatch, most=256, after=10)
    results = run_all(TrialRun(configure(batch_size=512), digits, folders))
    assert memory.failures == 1
    assert [result.epoch for result in results] == [1, 1, 2, 3]


def test_another_error_is_not_tried_again(
    digits: TrainingData, folders: TrialFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail(*_: Any) -> None:
        calls.append(1)
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(member_module, "predict", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        TrialRun(configure(), digits, folders).step()
    assert calls == [1]
    assert not folders.checkpoints.exists()


def test_a_trial_killed_for_memory_begins_in_parts_and_then_not_at_all(
    digits: TrainingData, folders: TrialFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = configure()
    assert note_killed_for_memory(folders.checkpoints, trial.number) == 1
    assert note_killed_for_memory(folders.checkpoints, 8) == 1
    assert TrialRun(trial, digits, folders).step().batch_split == BATCH_SPLIT
    memory = Memory(monkeypatch, most=0)
    with pytest.raises(torch.OutOfMemoryError):
        TrialRun(trial, digits, folders).step()
    assert memory.failures == 1
    assert note_killed_for_memory(folders.checkpoints, trial.number) == 2
    with pytest.raises(MemoryError, match="killed for memory twice") as error:
        TrialRun(trial, digits, folders)
    assert describe_failure(error.value).kind == "oom"


def test_a_damaged_note_still_says_that_memory_ran_out(tmp_path: Path) -> None:
    note_killed_for_memory(tmp_path, 7)
    (note,) = tmp_path.iterdir()
    note.write_bytes(b"\0")
    assert count_memory_failures(tmp_path, 7) == 1
    assert note_killed_for_memory(tmp_path, 7) == 2


def test_frames_are_released_along_the_whole_chain() -> None:
    held: list[weakref.ref[Tensor]] = []

    def fail() -> None:
        tensor = torch.zeros(3)
        held.append(weakref.ref(tensor))
        raise RuntimeError

    def fail_twice() -> None:
        try:
            fail()
        except RuntimeError:
            fail()

    with pytest.raises(RuntimeError) as error:
        fail_twice()
    assert all(reference() is not None for reference in held)
    release_frames(error.value)
    assert [reference() for reference in held] == [None, None]


def test_a_part_is_never_a_single_image(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def note(model: nn.Module, inputs: Tensor, *more: Any) -> Tensor:
        sizes.append(len(inputs))
        return predict(model, inputs, *more)

    monkeypatch.setattr(member_module, "predict", note)
    for batch_size in (2, 3, 5, 9):
        member = Member(configure(batch_size=batch_size), digits, 0, batch_split=BATCH_SPLIT)
        sizes.clear()
        member.train_epoch(1, most_batches=1)
        assert sum(sizes) == batch_size
        assert min(sizes) >= 2


# In a process of its own, whose address space ends a little above what it takes at the start.
LIMITED = """
    import resource, sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    import torch
    torch.set_num_threads(1)
    import numpy as np
    from test_memory import configure
    from searchlab.config.trial import FoldPlan, ModelConfig
    from searchlab.data import ImageData, stratified_folds
    from searchlab.training.failures import describe_failure
    from searchlab.training.images import TrainingData
    from searchlab.training.run import TrialFolders, TrialRun

    labels = np.arange(640) % 4
    images = np.zeros((640, 3, 64, 64), dtype=np.uint8)
    images[:] = (60 * labels)[:, None, None, None]
    data = TrainingData.from_images(
        ImageData(name="drawn", train_images=images, train_labels=labels, test_images=images[:8],
                  test_labels=labels[:8], num_classes=4),
        stratified_folds(labels, num_folds=5, seed=0), torch.device("cpu"))
    model = ModelConfig(family="cnn", parameters={{"width": 32}})
    plan = FoldPlan(num_folds=5, folds=(0,), search_folds=1)
    def start(number, size):
        trial = configure(number=number, model=model, batch_size=size, epochs=1, folds=plan)
        return TrialRun(trial, data, TrialFolders(checkpoints=Path({folder!r}), models=Path("m")))
    # Loads the kernels and starts every thread.
    print(start(1, 8).step().batch_split)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    def limit(megabytes):
        bytes = size + megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (bytes, resource.RLIM_INFINITY))
    limit({megabytes})
    try:
        print(start(2, 512).step().batch_split)
    except Exception as error:
        print(describe_failure(error).kind)
        print(describe_failure(error), file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sets a limit by /proc")
@pytest.mark.parametrize(("megabytes", "expected"), [(4000, "1"), (500, "4"), (40, "oom")])
def test_the_end_of_the_hosts_memory_is_met_in_parts(
    tmp_path: Path, megabytes: int, expected: str
) -> None:
    code = LIMITED.format(
        tests=str(Path(__file__).parent), folder=str(tmp_path), megabytes=megabytes
    )
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        # Otherwise glibc keeps up to 300 MB that the first trial freed, which the limit counts as
        # taken although the second may use them.
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["1", expected], done.stderr
