"""Frozen first layers: computed once for each image, and the same to the bit as computing them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.trial import FoldPlan, ModelConfig, TrialConfig
from searchlab.models.batch_norm import BatchNorm2d
from searchlab.models.dropout import SeededDropout
from searchlab.training import frozen_layers, member
from searchlab.training.checkpoint import CheckpointFiles, load_checkpoint, save_checkpoint
from searchlab.training.cohort import Cohort
from searchlab.training.frozen_layers import split_frozen
from searchlab.training.images import TrainingData
from searchlab.training.results import EpochResult


def _by_hand(family: str, **parameters: Any) -> ModelConfig:
    return ModelConfig(family=family, parameters=parameters, scheme="HF")


ONE_FOLD = FoldPlan(num_folds=5, folds=(0,), search_folds=1)
HEAD_ONLY = ModelConfig(family="resnet", parameters={"trainable": "head"})
TRIALS: dict[str, dict[str, Any]] = {
    "a1": {"model": _by_hand("a1")},
    "a2, one scaling": {"model": _by_hand("a2"), "normalize": "unit"},
    "norm behind the layer": {"model": _by_hand("cnn", width=8, batch_norm=True)},
    "deep, bfloat16": {"model": _by_hand("cnn", depth=3, width=4), "precision": "bfloat16"},
    "large kernels": {"model": _by_hand("cnn", width=4, kernel=5), "optimizer": "sgd"},
    "a head": {"model": HEAD_ONLY, "normalize": "half", "epochs": 2, "folds": ONE_FOLD},
    "under attack": {"model": _by_hand("a1"), "robustness": "fgsm"},
}


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=6)


def _trial(name: str, **changes: Any) -> TrialConfig:
    from searchlab.config.attacks import AttackSpec

    fields = {"epochs": 3, "batch_size": 50, **TRIALS[name], **changes}
    if "robustness" in fields:
        fields["robustness"] = AttackSpec(epsilon=0.05)
    return make_trial(**fields)


def _train(cohort: Cohort) -> list[EpochResult]:
    results = [untimed(cohort.run_epoch())]
    while not results[-1].done:
        results.append(untimed(cohort.run_epoch()))
    return results


def _weights(cohort: Cohort) -> list[Tensor]:
    models = [one.model for one in cohort.members] + ([cohort.full.model] if cohort.full else [])
    return [tensor for model in models for tensor in model.state_dict().values()]


def _assert_same(one: Cohort, other: Cohort) -> None:
    pairs = zip(_weights(one), _weights(other), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)


def _count_calls(cohort: Cohort) -> dict[int, int]:
    """Count the images that pass the first convolution of each model."""
    counts: dict[int, int] = {}

    def count(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        counts[id(module)] = counts.get(id(module), 0) + len(inputs[0])

    for kept in cohort._kept._kept:
        for module in kept._layers.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_pre_hook(count)
                break
    return counts


@pytest.mark.parametrize("name", TRIALS)
def test_every_figure_and_weight_is_that_of_computing_them_in_every_epoch(
    name: str, digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _trial(name)
    kept = Cohort(config, digits)
    assert kept.members[0]._features is not None
    found = _train(kept)
    monkeypatch.setattr(member, "split_frozen", lambda *_, **__: None)
    plain = Cohort(config, digits)
    assert plain.members[0]._features is None
    assert found == _train(plain)
    _assert_same(kept, plain)


def test_a_resumed_trial_ends_with_the_same_bits(digits: TrainingData, tmp_path: Path) -> None:
    config = _trial("a2, one scaling")
    whole, before, after = (Cohort(config, digits) for _ in range(3))
    before.run_epoch()
    files = CheckpointFiles(tmp_path, config.number)
    save_checkpoint(before, files)
    assert load_checkpoint(after, files)
    assert _train(whole)[1:] == _train(after)
    _assert_same(whole, after)


@pytest.mark.parametrize("name", ["a1", "a head"])
def test_after_the_first_epoch_no_image_passes_the_frozen_layers(
    name: str, digits: TrainingData
) -> None:
    cohort = Cohort(_trial(name), digits)
    counts = _count_calls(cohort)
    cohort.run_epoch()
    in_first = sum(counts.values())
    assert in_first >= len(digits.train_images)
    cohort.run_epoch()
    assert sum(counts.values()) == in_first


def test_folds_share_what_is_the_same_for_all_of_them(digits: TrainingData) -> None:
    shared = Cohort(_trial("a2, one scaling"), digits)
    assert len({id(one._features) for one in [*shared.members, shared.full] if one}) == 1
    # Each fold scales by the images that it trains on.
    own = Cohort(_trial("a1"), digits)
    assert len({id(one._features) for one in [*own.members, own.full] if one}) == 3


def test_a_number_of_images_whose_bits_differ_is_computed_in_every_epoch(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _trial("a1", folds=ONE_FOLD)
    expected = _train(Cohort(config, digits))
    compute = frozen_layers.FrozenFeatures._compute_all
    monkeypatch.setattr(
        frozen_layers.FrozenFeatures, "_compute_all", lambda self: compute(self) * (1 + 2**-22)
    )
    assert _train(Cohort(config, digits)) == expected


def test_what_would_take_too_much_memory_is_not_kept(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_images, _, height, width = digits.train_images.shape
    needed = num_images * 5 * (height - 2) * (width - 2) * 4  # of one member
    monkeypatch.setattr(frozen_layers, "_MAX_BYTES", 2 * needed)
    cohort = Cohort(_trial("a1"), digits)
    members = [*cohort.members, cohort.full]
    assert [one is not None and one._features is None for one in members] == [False, False, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"augment": "flip"},
        {"adversarial": "fgsm"},
        {"model": ModelConfig(family="a1", scheme="HT")},
        {"model": ModelConfig(family="resnet", parameters={"trainable": "bn+head"})},
        {"model": ModelConfig(family="fcn"), "dropout": 0.0},
    ],
    ids=["augmented", "attacked", "trained", "norm trained", "no such layer"],
)
def test_nothing_is_kept_if_images_or_layers_change(
    changes: dict[str, Any], digits: TrainingData
) -> None:
    cohort = Cohort(_trial("a1", **changes), digits)
    assert cohort.members[0]._features is None


def test_a_split_batch_is_computed(digits: TrainingData) -> None:
    assert Cohort(_trial("a1"), digits, batch_split=4).members[0]._features is None


class _Unknown(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("layer", "is_kept"),
    [
        (nn.ReLU(), True),
        (SeededDropout(0.0), True),
        (SeededDropout(0.1), False),
        (BatchNorm2d(3), False),
        (nn.BatchNorm2d(3), False),
        (nn.Dropout(0.1), False),
        (_Unknown(), False),
    ],
)
def test_only_layers_that_repeat_themselves_are_taken_for_frozen(
    layer: nn.Module, is_kept: bool
) -> None:
    first = nn.Conv2d(1, 3, 3)
    network = nn.Sequential(first, layer, nn.Flatten(), nn.Linear(3, 2))
    network[:2].requires_grad_(False)
    parts = split_frozen(network, head=None)
    assert parts is not None
    kept = list(parts[0])  # type: ignore[call-overload]
    assert kept[0] is first
    assert (layer in kept) == is_kept


def test_a_frozen_norm_keeps_its_statistics_and_is_frozen() -> None:
    norm = BatchNorm2d(3)
    norm.freeze()
    first = nn.Conv2d(1, 3, 3)
    first.requires_grad_(False)
    parts = split_frozen(nn.Sequential(first, norm, nn.Linear(3, 2)), head=None)
    assert parts is not None
    assert norm in list(parts[0])  # type: ignore[call-overload]


def test_a_network_that_is_no_sequence_needs_a_head_to_be_split(digits: TrainingData) -> None:
    model = Cohort(_trial("a head"), digits).members[0].model
    assert split_frozen(model, head=None) is None
    parts = split_frozen(model, head="fc")
    assert parts is not None
    body, head = parts
    images = torch.rand((2, 1, 8, 8))
    model.eval()
    body.eval()
    assert torch.equal(head(body(images)), model(images))
    theirs = {id(tensor) for tensor in model.parameters()}
    assert {id(tensor) for tensor in body.parameters()} <= theirs  # shared, not copied
