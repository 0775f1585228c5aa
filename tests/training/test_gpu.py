"""Training on a CUDA device: what it computes, draws and keeps there. Skipped without one.

Needs neither Ray nor Optuna, if pytest leaves tests/conftest.py out:

    PYTHONPATH=. pytest --noconftest -n 0 -m gpu tests/training/test_gpu*.py
"""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from gpu_trials import DEVICE, NOT_GRAPHED, NUM_CLASSES, PLAN, configure, draw_data, run_all
from trial_configs import untimed

from searchlab.config.attacks import AttackSpec
from searchlab.config.settings import AUGMENTATIONS, OptimizerName, TrainingSettings
from searchlab.config.trial import FoldPlan, ModelConfig, Normalization, TrialConfig
from searchlab.data import ImageData, stratified_folds
from searchlab.models import list_families
from searchlab.training import images as images_module
from searchlab.training.augment import Augmenter
from searchlab.training.checkpoint_files import forget_checkpoints, model_path
from searchlab.training.cohort import Cohort
from searchlab.training.failures import describe_failure
from searchlab.training.images import TrainingData
from searchlab.training.machine import describe_machine
from searchlab.training.memory import free_memory, release_frames
from searchlab.training.memory_check import probe_training
from searchlab.training.optimizers import OPTIMIZERS
from searchlab.training.process import limit_device_memory, repeatable
from searchlab.training.results import EpochResult
from searchlab.training.run import TrialFolders, TrialRun
from searchlab.training.saved_models import load_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(autouse=True)
def same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let cuDNN sum in one order, in full float32, so that figures can be compared."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return draw_data(DEVICE)


@pytest.mark.parametrize("family", list_families())
def test_every_family_trains_there_as_on_the_cpu(family: str, data: TrainingData) -> None:
    trial = configure(
        model=ModelConfig(family=family),
        epochs=1,
        optimizer="sgd",
        lr=0.001,
        momentum=0.0,
    )
    cohorts = [Cohort(trial, data), Cohort(trial, draw_data(torch.device("cpu")))]
    starts = [cohort.members[0].snapshot() for cohort in cohorts]
    for name, value in starts[0].items():
        assert value.device.type == DEVICE.type
        assert torch.equal(value.cpu(), starts[1][name]), name
    there, here = (run_all(cohort)[-1] for cohort in cohorts)
    assert there.folds[0].training["loss"] == pytest.approx(
        here.folds[0].training["loss"], rel=1e-2
    )
    assert there.folds[0].validation["loss"] == pytest.approx(
        here.folds[0].validation["loss"], rel=2e-2
    )
    assert there.figures["parameters"] == here.figures["parameters"]


@pytest.mark.parametrize("name", NOT_GRAPHED)
def test_a_trial_run_again_or_taken_up_again_ends_at_the_same_bits(
    name: str, data: TrainingData, tmp_path: Path
) -> None:
    trial = configure(**NOT_GRAPHED[name])
    expected = run_all(Cohort(trial, data))
    assert expected[-1].test is not None
    assert not expected[-1].diverged
    attacked = trial.robustness is not None
    assert ("robust_accuracy" in expected[-1].test) == attacked
    assert run_all(Cohort(trial, data)) == expected
    folders = TrialFolders(checkpoints=tmp_path, models=tmp_path / "models", checkpoint_seconds=1e9)
    stopped = TrialRun(trial, data, folders)
    stopped.step()
    stopped.save()
    continued = TrialRun(trial, data, folders)
    results = [continued.step()]
    while not results[-1].done:
        results.append(continued.step())
    assert [replace(untimed(result), replayed=False) for result in results] == expected


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on_where_it_was(
    name: OptimizerName, data: TrainingData, tmp_path: Path
) -> None:
    trial = configure(optimizer=name, lr=0.01, nesterov=True)
    expected = run_all(Cohort(trial, data))
    folders = TrialFolders(checkpoints=tmp_path, models=tmp_path / "models", checkpoint_seconds=1e9)
    stopped = TrialRun(trial, data, folders)
    for _ in range(2):
        stopped.step()
    stopped.save()
    continued = TrialRun(trial, data, folders)
    results = [replace(untimed(continued.step()), replayed=False) for _ in expected]
    assert results == expected


@pytest.mark.parametrize("operation", AUGMENTATIONS)
def test_images_are_changed_there_each_by_its_own_draw(operation: str, data: TrainingData) -> None:
    images = data.train_images[:1].repeat(32, 1, 1, 1)
    augmenter = Augmenter(TrainingSettings(augment=operation, jitter_hue=0.2, cutout_size=4))
    changed, again = (
        augmenter(images, torch.Generator(device=DEVICE).manual_seed(3)) for _ in range(2)
    )
    assert (changed.device.type, changed.dtype) == (DEVICE.type, torch.float32)
    assert torch.equal(changed, again)
    num_distinct = len(torch.unique(changed.flatten(1), dim=0))
    assert num_distinct == 2 if operation == "flip" else num_distinct > 16


@pytest.mark.parametrize("kind", get_args(Normalization))
def test_images_are_normalised_there_as_on_the_cpu(kind: Normalization, data: TrainingData) -> None:
    there = data.normalizer(0, kind)(data.train_images).cpu()
    beside = draw_data(torch.device("cpu"))
    torch.testing.assert_close(there, beside.normalizer(0, kind)(beside.train_images))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["cnn", "local", "resnet"])
def test_a_finished_model_is_measured_and_read_back(
    family: str, precision: str, data: TrainingData, tmp_path: Path
) -> None:
    model = ModelConfig(family=family)
    trial = configure(model=model, epochs=1, precision=precision, measures=("latency",))
    folders = TrialFolders(checkpoints=tmp_path, models=tmp_path, checkpoint_seconds=1e9)
    result = TrialRun(trial, data, folders).step()
    assert result.figures["latency"] > 0
    assert result.test is not None
    saved = load_model(model_path(tmp_path, trial.number), data)
    logits = saved.logits(data)
    assert logits.device.type == "cpu"
    accuracy = (logits.argmax(1) == data.test_labels.cpu()).double().mean()
    assert float(accuracy) == result.test["accuracy"]
    assert saved.features(data).shape[0] == len(data.test_labels)


def run_to_end(run: TrialRun) -> list[EpochResult]:
    results = [run.step()]
    while not results[-1].done:
        results.append(run.step())
    return results


def make_folders(tmp_path: Path) -> TrialFolders:
    return TrialFolders(checkpoints=tmp_path, models=tmp_path / "models", checkpoint_seconds=1e9)


def test_a_damaged_checkpoint_gives_way_to_the_one_before_there(
    data: TrainingData, tmp_path: Path
) -> None:
    trial, folders = configure(), make_folders(tmp_path)
    stopped = TrialRun(trial, data, folders)
    for _ in range(2):
        stopped.step()
        stopped.save()
    (newest,) = tmp_path.glob("trial-00007.2-*.safetensors")
    newest.write_bytes(newest.read_bytes()[:-1])
    results = run_to_end(TrialRun(trial, data, folders))
    assert [result.replayed for result in results] == [True, False, False]
    expected = run_all(Cohort(trial, data))
    assert [replace(untimed(result), replayed=False) for result in results] == expected


def test_batches_in_parts_teach_the_same_there(data: TrainingData) -> None:
    trial = configure(
        model=ModelConfig(family="cnn", parameters={"width": 8, "pool": 1}),
        optimizer="sgd",
        lr=0.01,
        momentum=0.9,
        augment="flip+crop",
    )
    whole, parts = (run_all(Cohort(trial, data, batch_split=split)) for split in (1, 4))
    for found, expected in zip(parts, whole, strict=True):
        assert found.folds[0].training["loss"] == pytest.approx(
            expected.folds[0].training["loss"], rel=1e-2
        )
        assert found.folds[0].validation["loss"] == pytest.approx(
            expected.folds[0].validation["loss"], rel=1e-2
        )


@pytest.fixture
def limited_memory() -> Iterator[Callable[[int], None]]:
    """Limit, for this process, what torch may allocate beyond what it holds."""
    total = torch.cuda.get_device_properties(DEVICE).total_memory

    def limit(more: int) -> None:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(
            (torch.cuda.memory_reserved(DEVICE) + more) / total, DEVICE.index
        )

    yield limit
    torch.cuda.set_per_process_memory_fraction(1.0, DEVICE.index)


def make_large() -> tuple[TrialConfig, TrainingData]:
    """One batch of 512 images of 3x64x64: hundreds of megabytes in a wide network."""
    labels = np.arange(640) % NUM_CLASSES
    images = np.zeros((640, 3, 64, 64), dtype=np.uint8)
    images[:] = (60 * labels)[:, None, None, None]
    drawn = ImageData(
        name="large", train_images=images, train_labels=labels, test_images=images[:8],
        test_labels=labels[:8], num_classes=NUM_CLASSES,
    )  # fmt: skip
    folds = stratified_folds(labels, num_folds=PLAN.num_folds, seed=0)
    plan = FoldPlan(num_folds=PLAN.num_folds, folds=(0,), search_folds=1)
    model = ModelConfig(family="cnn", parameters={"width": 64})
    trial = configure(model=model, batch_size=512, epochs=1, folds=plan)
    return trial, TrainingData.from_images(drawn, folds, DEVICE)


def test_the_end_of_the_devices_memory_is_met_in_parts(
    tmp_path: Path, limited_memory: Callable[[int], None]
) -> None:
    trial, large = make_large()
    needed = probe_training(trial, large).peak_bytes - torch.cuda.memory_allocated(DEVICE)
    limited_memory(needed // 2)
    result = TrialRun(trial, large, make_folders(tmp_path)).step()
    assert result.done
    assert result.batch_split == 4
    assert (tmp_path / "trial-00007.memory").exists()
    forget_checkpoints(tmp_path, trial.number)
    limited_memory(needed // 50)
    with pytest.raises(torch.OutOfMemoryError) as error:
        TrialRun(trial, large, make_folders(tmp_path)).step()
    assert describe_failure(error.value).kind == "oom"


def test_a_probe_in_parts_fits_where_a_whole_batch_does_not(
    limited_memory: Callable[[int], None],
) -> None:
    trial, large = make_large()
    whole = probe_training(trial, large)
    limited_memory((whole.peak_bytes - torch.cuda.memory_allocated(DEVICE)) // 2)
    with pytest.raises(torch.OutOfMemoryError) as error:
        probe_training(trial, large)
    release_frames(error.value)
    free_memory()
    assert probe_training(trial, large, batch_split=4).peak_bytes < whole.peak_bytes


# In a process of its own, for none after it could use the device.
BROKEN = """
import torch
from searchlab.training.failures import describe_failure

values = torch.zeros(4, device="cuda")
launch = torch.AcceleratorError("CUDA error: invalid configuration argument")
cudnn = RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR")
print([describe_failure(error).kind for error in (launch, cudnn)])
for _ in range(2):
    try:
        values[torch.tensor([9], device="cuda")].sum().item()
    except RuntimeError as error:
        print(type(error).__name__, describe_failure(error).kind)
print([describe_failure(error).kind for error in (launch, cudnn)])
"""


def test_a_broken_context_is_told_from_other_errors() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        "['error', 'error']",
        "AcceleratorError device",
        "AcceleratorError device",
        "['device', 'device']",
    ], done.stderr


def test_a_probe_there_predicts_what_a_trial_reserves(data: TrainingData) -> None:
    trial, large = make_large()
    trial = replace(trial, folds=PLAN)
    result = probe_training(trial, large)
    assert result.num_members == PLAN.num_members
    free_memory()
    torch.cuda.reset_peak_memory_stats(DEVICE)
    cohort = Cohort(trial, large)
    cohort.run_epoch()
    peak = torch.cuda.max_memory_reserved(DEVICE)
    assert result.cohort_bytes(PLAN.num_members) == pytest.approx(peak, rel=0.1)
    assert result.images_per_second > 0


def test_a_share_of_the_device_is_all_that_a_process_gets() -> None:
    try:
        limit_device_memory(DEVICE, 0.1)
        total = torch.cuda.get_device_properties(DEVICE).total_memory
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(int(0.15 * total), dtype=torch.uint8, device=DEVICE)
        torch.empty(int(0.02 * total), dtype=torch.uint8, device=DEVICE)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, DEVICE.index)


def test_images_that_are_fetched_from_the_host_give_the_same_bits(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images_module, "most_image_bytes", lambda *_: 0)
    fetched = draw_data(DEVICE)
    assert fetched.train_images.device.type == "cpu"
    trial = configure(augment="flip+crop", robustness=AttackSpec())
    assert run_all(Cohort(trial, fetched)) == run_all(Cohort(trial, data))


def test_tf32_is_recorded_and_rounds_matrix_products() -> None:
    values = torch.rand((256, 256), generator=torch.Generator().manual_seed(0)).to(DEVICE)
    plain = values @ values
    with repeatable(1, DEVICE):
        assert describe_machine(DEVICE).tf32
        assert not torch.equal(values @ values, plain)
    assert not describe_machine(DEVICE).tf32
    assert torch.equal(values @ values, plain)
