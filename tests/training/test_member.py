"""One model's training: what its draws depend on, attacks beside it, and its arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from trial_configs import load_digits, make_trial

from searchlab.config.attacks import AttackName, AttackSpec
from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.errors import InputError
from searchlab.models.build import build_model
from searchlab.models.saved_weights import initial_weights_path, save_initial_weights
from searchlab.training.batches import split_epoch
from searchlab.training.images import TrainingData
from searchlab.training.inference import evaluation_batch
from searchlab.training.member import Member

AUGMENT = {"augment": "flip+rotate+crop+cutout", "cutout_size": 2}
ATTACKS: tuple[AttackName, ...] = ("fgsm", "pgd")
PLAIN = ModelConfig(family="cnn", parameters={"width": 4})
# With batch normalisation and dropout: both differ between training and evaluation.
MOODY = {
    "model": ModelConfig(family="cnn", parameters={"width": 4, "batch_norm": True}),
    "dropout": 0.3,
}


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits()


def make_member(digits: TrainingData, fold: int | None = 0, **changes: Any) -> Member:
    plain = {"model": PLAIN, "dropout": 0.0, "batch_size": 256}
    return Member(make_trial(**{**plain, **changes}), digits, fold)


def record_inputs(member: Member, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Note every batch of training images as they leave the augmentation."""
    seen: list[Tensor] = []
    augment = member._augment

    class _Noting:
        is_active = True

        def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
            seen.append(augment(images, generator))
            return seen[-1]

    monkeypatch.setattr(member, "_augment", _Noting())
    return seen


def test_augmentation_depends_on_seed_fold_and_epoch_alone(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inputs(fold: int = 0, *, epoch: int = 2, first: int = 2, **changes: Any) -> Tensor:
        member = make_member(digits, fold, **AUGMENT, **changes)
        for past in range(first, epoch):
            member.train_epoch(past)
        seen = record_inputs(member, monkeypatch)
        member.train_epoch(epoch)
        return torch.cat(seen)

    expected = inputs()
    same = [
        inputs(first=1),
        inputs(number=99),
        inputs(**MOODY),
        inputs(adversarial="pgd", attack_steps=1),
        inputs(robustness=AttackSpec()),
    ]
    assert all(torch.equal(other, expected) for other in same)
    for other in (inputs(epoch=3, first=3), inputs(seed=1), inputs(1)):
        assert not torch.equal(other[:256], expected[:256])


def test_every_epoch_sees_every_training_image_once(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = make_member(digits)
    seen = record_inputs(member, monkeypatch)
    member.train_epoch(1)
    training, _ = digits.split(0)
    everything = digits.train_images[training].float() / 255
    assert (
        torch.cat(seen)
        .sum((1, 2, 3))
        .sort()
        .values.allclose(everything.sum((1, 2, 3)).sort().values)
    )


@pytest.mark.parametrize("name", ATTACKS)
def test_crafting_leaves_running_statistics_and_dropout_draws_alone(
    digits: TrainingData, name: AttackName
) -> None:
    clean = make_member(digits, **MOODY)
    attacked = make_member(digits, **MOODY)
    attack = AttackSpec(attack=name, epsilon=0.1, steps=2)
    attacked.model.train()
    before, draws = attacked.snapshot(), attacked._dropout.get_state()
    pixels = digits.train_images[:32].float() / 255
    generator = torch.Generator().manual_seed(0)
    moved = attacked._perturb(pixels, digits.train_labels[:32], attack, generator)
    assert not torch.equal(moved, pixels)
    assert attacked.model.training
    assert torch.equal(attacked._dropout.get_state(), draws)
    assert all(torch.equal(value, before[key]) for key, value in attacked.snapshot().items())
    assert all(parameter.grad is None for parameter in attacked.model.parameters())
    assert clean.train_epoch(1) == attacked.train_epoch(1)


@pytest.mark.parametrize("name", ATTACKS)
def test_adversarial_training_differs_and_withstands_the_attack_better(
    digits: TrainingData, name: AttackName
) -> None:
    attack = AttackSpec(attack=name, epsilon=0.08, steps=3)
    figures = []
    for adversarial in ("none", name):
        member = make_member(
            digits,
            model=ModelConfig(family="cnn", parameters={"width": 8}),
            robustness=attack,
            adversarial=adversarial,
            epsilon=0.08,
            attack_steps=3,
            epochs=5,
            batch_size=64,
        )
        for epoch in range(1, 6):
            member.train_epoch(epoch)
        figures.append(member.validate()[0])
    plain, hardened = (figure["robust_accuracy"] for figure in figures)
    assert plain <= figures[0]["accuracy"]
    assert hardened <= figures[1]["accuracy"]
    assert hardened > plain + 0.05


def test_an_attack_of_no_size_finds_the_clean_accuracy(digits: TrainingData) -> None:
    member = make_member(digits, robustness=AttackSpec(epsilon=0.0))
    member.train_epoch(1)
    figures, _ = member.validate()
    assert figures["robust_accuracy"] == figures["accuracy"]
    assert "robust_accuracy" not in make_member(digits).validate()[0]


def test_pgd_in_evaluation_starts_from_the_same_place_every_time(digits: TrainingData) -> None:
    member = make_member(digits, robustness=AttackSpec(attack="pgd", steps=2))
    member.train_epoch(1)
    assert member.validate()[0] == member.validate()[0]


def test_a_last_image_alone_joins_the_batch_before(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, _ = digits.split(0)
    member = make_member(digits, **MOODY, batch_size=len(training) - 1)
    seen = record_inputs(member, monkeypatch)
    member.train_epoch(1)
    assert [len(batch) for batch in seen] == [len(training)]
    # Asked for one at a time, all come alone.
    assert len(split_epoch(training[:5], TrainingSettings(batch_size=1))) == 5


def test_bfloat16_trains_to_finite_figures_near_those_of_float32(digits: TrainingData) -> None:
    figures = []
    for precision in ("float32", "bfloat16"):
        member = make_member(
            digits, **MOODY, precision=precision, robustness=AttackSpec(epsilon=0.05)
        )
        for epoch in range(1, 4):
            member.train_epoch(epoch)
        logits = member._evaluator.predict(member._normalize(digits.train_images[:8]))
        assert logits.dtype == torch.float32
        assert all(parameter.dtype == torch.float32 for parameter in member.model.parameters())
        figures.append(member.validate()[0])
    assert figures[0] != figures[1]
    assert figures[1]["accuracy"] == pytest.approx(figures[0]["accuracy"], abs=0.1)
    assert figures[1]["loss"] == pytest.approx(figures[0]["loss"], abs=0.2)


def test_label_smoothing_and_clipping_change_the_weights(digits: TrainingData) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"label_smoothing": 0.2},
        {"optimizer": "sgd", "clip_norm": 1e-3},
        {"optimizer": "sgd"},
    ]
    weights = []
    for change in changes:
        member = make_member(digits, **change)
        start = member.snapshot()["fc1.weight"]
        member.train_epoch(1)
        weights.append(float((member.snapshot()["fc1.weight"] - start).norm()))
    assert len(set(weights)) == 4
    assert weights[2] < weights[3]


def test_initial_weights_are_loaded_from_their_folder(digits: TrainingData, tmp_path: Path) -> None:
    for fold in (0, "full"):
        path = initial_weights_path(tmp_path, "cnn", "DT", fold)
        shape, key = digits.image_shape, (123, fold, 0)
        model = build_model(PLAIN, TrainingSettings(), image_shape=shape, num_classes=10, key=key)
        save_initial_weights(model, path, config=PLAIN, key=key)
        member = make_member(digits, None if fold == "full" else 0, initial_weights=str(tmp_path))
        for name, value in model.state_dict().items():
            assert torch.equal(member.snapshot()[name], value)
    drawn = make_member(digits).snapshot()
    assert not torch.equal(drawn["conv1.weight"], member.snapshot()["conv1.weight"])
    with pytest.raises(InputError, match=r"cnn-DT-fold1.safetensors does not exist"):
        make_member(digits, 1, initial_weights=str(tmp_path))


@pytest.mark.parametrize(
    ("shape", "count"), [((1, 28, 28), 1024), ((3, 160, 160), 109), ((3, 2000, 1000), 1)]
)
def test_large_images_are_evaluated_in_smaller_batches_and_attacked_in_still_smaller(
    shape: tuple[int, int, int], count: int
) -> None:
    assert evaluation_batch(shape) == count
    assert evaluation_batch(shape, with_gradients=True) == max(1, count // 4)
    gpu = torch.device("cuda")
    assert evaluation_batch(shape, gpu) == 8 * count
