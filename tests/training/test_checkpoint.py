from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.attacks import AttackSpec
from searchlab.config.settings import AUGMENTATIONS, OptimizerName, TrainingSettings
from searchlab.config.trial import FoldPlan, ModelConfig, TrialConfig
from searchlab.models.build import build_model
from searchlab.training.checkpoint import load_checkpoint, save_checkpoint
from searchlab.training.checkpoint_files import CheckpointFiles, model_path
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.member import Member
from searchlab.training.optimizers import OPTIMIZERS
from searchlab.training.results import EpochResult
from searchlab.training.run import STOP_MARKER, TrialFolders, TrialRun

RECORDED_RUNS = Path(__file__).parents[1] / "fixtures/recorded_runs.zip"


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=5)


def finish(run: TrialRun) -> list[EpochResult]:
    results = [run.step()]
    while not results[-1].done:
        results.append(run.step())
    return [untimed(result) for result in results]


def forget_replay(results: list[EpochResult]) -> list[EpochResult]:
    return [replace(result, replayed=False) for result in results]


def files(folder: Path) -> CheckpointFiles:
    return CheckpointFiles(folder, 7)


def data_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("trial-00007.*-*.safetensors"))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    "model",
    [
        ModelConfig(family="cnn", parameters={"width": 8}),
        ModelConfig(family="a2", scheme="HF"),
    ],
)
def test_a_trial_continued_from_a_checkpoint_ends_at_the_same_bits(
    digits: TrainingData, tmp_path: Path, name: OptimizerName, model: ModelConfig
) -> None:
    trial = make_trial(
        optimizer=name, lr=0.01, model=model, weight_decay=0.01, decay_norms=model.scheme != "DT"
    )
    whole = Cohort(trial, digits)
    expected = [untimed(whole.run_epoch()) for _ in range(trial.settings.epochs)]
    cut = Cohort(trial, digits)
    for _ in range(2):
        cut.run_epoch()
    save_checkpoint(cut, files(tmp_path))
    continued = Cohort(trial, digits)
    assert load_checkpoint(continued, files(tmp_path))
    replayed = [untimed(result) for result in continued.replay()]
    assert [result.replayed for result in replayed] == [True, True]
    assert forget_replay(replayed) + [untimed(continued.run_epoch()) for _ in range(2)] == expected


def test_a_checkpoint_without_the_full_members_figures_is_continued_without_them(
    digits: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make_trial()
    cut = Cohort(trial, digits)
    cut.run_epoch()
    saving = files(tmp_path)
    save = saving.save
    monkeypatch.setattr(
        CheckpointFiles,
        "save",
        lambda self, epoch, tensors, metadata: save(
            epoch, tensors, {key: metadata[key] for key in metadata if key != "full_history"}
        ),
    )
    save_checkpoint(cut, files(tmp_path))
    continued = Cohort(trial, digits)
    assert load_checkpoint(continued, files(tmp_path))
    [replayed] = continued.replay()
    assert replayed.full_training is None
    assert continued.run_epoch().full_training == cut.run_epoch().full_training


def test_a_checkpoint_of_an_earlier_format_is_left_alone(
    digits: TrainingData, tmp_path: Path
) -> None:
    with zipfile.ZipFile(RECORDED_RUNS) as archive:
        archive.extractall(tmp_path)
    saved = CheckpointFiles(tmp_path / "interrupted/checkpoints", 10)
    assert saved.load(lambda metadata: True) is not None
    assert not load_checkpoint(Cohort(make_trial(), digits), saved)


def test_a_checkpoint_without_a_later_setting_is_taken(
    digits: TrainingData, tmp_path: Path
) -> None:
    trial = make_trial(epochs=2)
    cohort = Cohort(trial, digits)
    cohort.run_epoch()
    save_checkpoint(cohort, files(tmp_path))
    state = files(tmp_path).load(lambda metadata: True)
    assert state is not None
    config = json.loads(state.metadata["config"])
    del config["settings"]["clip_norm"]
    earlier = {**state.metadata, "config": json.dumps(config)}
    files(tmp_path / "earlier").save(cohort.epoch, state.tensors, earlier)
    assert load_checkpoint(Cohort(trial, digits), files(tmp_path / "earlier"))


MOODY = ModelConfig(family="cnn", parameters={"width": 4, "batch_norm": True})
SETTINGS: dict[str, dict[str, Any]] = {
    "augmentation, warm-up, fgsm": {
        "augment": "+".join(AUGMENTATIONS),
        "cutout_size": 2,
        "schedule": "cosine",
        "warmup_epochs": 1.5,
        "adversarial": "fgsm",
        "robustness": AttackSpec(),
    },
    "one cycle, pgd, smoothing, clipping": {
        "schedule": "one_cycle",
        "adversarial": "pgd",
        "attack_steps": 2,
        "robustness": AttackSpec(attack="pgd", steps=2),
        "label_smoothing": 0.1,
        "lr": 0.01,
        "clip_norm": 0.5,
    },
    "bfloat16, patience, average": {
        "precision": "bfloat16",
        "patience": 1,
        "ema_decay": 0.8,
        "layer_decay": 0.7,
        "decay_norms": False,
        "accumulate": 3,
        "average_flips": True,
        "batch_size": 32,
    },
}


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_keeps_a_state_that_a_checkpoint_loses(
    digits: TrainingData, tmp_path: Path, name: str
) -> None:
    plan = FoldPlan(num_folds=5, folds=(0,), search_folds=1, test=True)
    changes = {"batch_size": 256, **SETTINGS[name]}
    trial = make_trial(model=MOODY, epochs=3, folds=plan, **changes)
    folders = TrialFolders(checkpoints=tmp_path, models=tmp_path / "m", checkpoint_seconds=1e9)
    expected = finish(TrialRun(trial, digits, folders))
    for cut in range(1, len(expected)):
        stopped = TrialRun(trial, digits, folders)
        for _ in range(cut):
            stopped.step()
        stopped.save()
        results = finish(TrialRun(trial, digits, folders))
        assert forget_replay(results) == expected
        assert [result.replayed for result in results].count(True) == cut


def test_a_checkpoint_of_another_configuration_is_not_taken(
    digits: TrainingData, tmp_path: Path
) -> None:
    cohort = Cohort(make_trial(), digits)
    cohort.run_epoch()
    save_checkpoint(cohort, files(tmp_path))
    assert not load_checkpoint(Cohort(make_trial(batch_size=32), digits), files(tmp_path))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_starts_the_trial_afresh(
    digits: TrainingData, tmp_path: Path, content: bytes | None
) -> None:
    trial = make_trial()
    cohort = Cohort(trial, digits)
    cohort.run_epoch()
    save_checkpoint(cohort, files(tmp_path))
    (path,) = data_files(tmp_path)
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    fresh = Cohort(trial, digits)
    assert not load_checkpoint(fresh, files(tmp_path))
    assert fresh.epoch == 0


def test_a_short_trial_writes_no_checkpoint_and_leaves_its_model(
    digits: TrainingData, tmp_path: Path
) -> None:
    trial = make_trial()
    folders = TrialFolders(checkpoints=tmp_path / "checkpoints", models=tmp_path / "models")
    finish(TrialRun(trial, digits, folders))
    assert not folders.checkpoints.exists()
    names = ["trial-00007-held-out.safetensors", "trial-00007.safetensors"]
    assert sorted(path.name for path in folders.models.iterdir()) == names


def test_checkpoints_are_written_when_due_or_when_a_stop_is_asked_for(
    digits: TrainingData, tmp_path: Path
) -> None:
    trial = make_trial()
    folders = TrialFolders(checkpoints=tmp_path, models=tmp_path / "m", checkpoint_seconds=1e9)
    run = TrialRun(trial, digits, folders)
    run.step()
    assert not data_files(tmp_path)
    (tmp_path / STOP_MARKER).touch()
    expected = [untimed(run.step())]
    assert data_files(tmp_path)
    assert forget_replay(finish(TrialRun(trial, digits, folders)))[1] == expected[0]
    due = replace(folders, checkpoints=tmp_path / "due", checkpoint_seconds=0.0)
    TrialRun(trial, digits, due).step()
    assert data_files(due.checkpoints)


def test_a_trial_taken_up_after_its_last_epoch_ends_without_a_step(
    digits: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = TrialFolders(checkpoints=tmp_path, models=tmp_path / "m", checkpoint_seconds=0.0)
    expected = finish(TrialRun(make_trial(), digits, folders))
    model = model_path(folders.models, 7).read_bytes()
    model_path(folders.models, 7).unlink()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(Member, "train_epoch", refuse)
    results = finish(TrialRun(make_trial(), digits, folders))
    assert all(result.replayed for result in results)
    assert forget_replay(results) == expected
    assert results[-1].test is not None
    assert model_path(folders.models, 7).read_bytes() == model


def test_a_state_left_in_mid_epoch_is_not_saved(
    digits: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = TrialFolders(checkpoints=tmp_path, models=tmp_path / "m", checkpoint_seconds=1e9)
    run = TrialRun(make_trial(), digits, folders)
    run.step()

    def fail(_: Member) -> None:
        raise RuntimeError("a plugin's own")

    monkeypatch.setattr(Member, "validate", fail)
    with pytest.raises(RuntimeError, match="own"):
        run.step()
    run.save()
    assert not list(tmp_path.iterdir())


def test_a_saved_model_gives_the_test_accuracy_that_was_reported(
    digits: TrainingData, tmp_path: Path
) -> None:
    from safetensors import safe_open

    folders = TrialFolders(checkpoints=tmp_path / "c", models=tmp_path / "m")
    last = finish(TrialRun(make_trial(), digits, folders))[-1]
    assert last.test is not None
    with safe_open(model_path(folders.models, 7), framework="pt") as file:
        trial = TrialConfig.from_json(file.metadata()["config"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    model = build_model(
        trial.model, TrainingSettings(), image_shape=(1, 8, 8), num_classes=10, key=(0,)
    )
    model.load_state_dict(weights)
    model.eval()
    logits = model(digits.normalizer(None, trial.normalize)(digits.test_images))
    accuracy = float((logits.argmax(1) == digits.test_labels).float().mean())
    assert accuracy == pytest.approx(last.test["accuracy"])
