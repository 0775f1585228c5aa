"""A step of training never waits for its device: nothing in it brings a result to the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from trial_configs import load_digits, make_trial

from searchlab.config.settings import AUGMENTATIONS
from searchlab.config.trial import ModelConfig
from searchlab.data import ImageData, stratified_folds
from searchlab.models import list_families
from searchlab.training import colour, policy_operations
from searchlab.training.images import TrainingData
from searchlab.training.member import Member
from searchlab.training.optimizers import OPTIMIZERS

# What a GPU can only tell once it has done everything before.
WAITING_OPERATORS = {
    "_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "_unique2",
    "unique_dim", "unique_consecutive", "bincount",
}  # fmt: skip
WAITING_METHODS = {
    Tensor.cpu, Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.__bool__, Tensor.__float__,
    Tensor.__int__, Tensor.__index__,
}  # fmt: skip


class _Operators(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func._schema.name.removeprefix("aten::")
        assert name not in WAITING_OPERATORS, name
        if name.startswith("index"):
            indices = args[1] if isinstance(args[1], (list, tuple)) else []
            assert all(index is None or index.dtype != torch.bool for index in indices), "mask"
        return func(*args, **(kwargs or {}))


class _Methods(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        assert func not in WAITING_METHODS, func
        return func(*args, **(kwargs or {}))


def check(run: Callable[[], object]) -> None:
    """Fail if ``run`` waits for the device."""
    with _Methods(), _Operators():
        run()


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=8)


@pytest.fixture(scope="module")
def colours() -> TrainingData:
    images = torch.randint(0, 256, (64, 3, 16, 16), dtype=torch.uint8).numpy()
    labels = torch.arange(64).remainder(4).numpy()
    data = ImageData(
        name="colours", train_images=images, train_labels=labels, test_images=images[:8],
        test_labels=labels[:8], num_classes=4,
    )  # fmt: skip
    folds = stratified_folds(labels, num_folds=4, seed=0)
    return TrainingData.from_images(data, folds, torch.device("cpu"))


@pytest.mark.parametrize(
    "waiting",
    [
        lambda values: values.sum().item(),
        lambda values: values[values > 0],
        lambda values: values.cpu(),
        lambda values: values.nonzero(),
        lambda values: bool(values.any()),
        lambda values: values.__setitem__(values > 0, values[:2]),
    ],
)
def test_the_check_itself_notices_waiting(waiting: Callable[[Tensor], object]) -> None:
    values = torch.arange(3.0)
    with pytest.raises(AssertionError):
        check(lambda: waiting(values))
    check(lambda: values[torch.tensor([1, 2])].sum())


def check_steps(member: Member) -> None:
    member.begin_epoch(1)
    if member._graphed is not None:
        member.advance()  # the first is looked at
    for _ in range(2):
        check(member.advance)
    member.end_epoch()


MOODY = ModelConfig(family="cnn", parameters={"width": 4, "batch_norm": True})
SETTINGS: dict[str, dict[str, Any]] = {
    "fgsm": {"adversarial": "fgsm"},
    "pgd in bfloat16": {"adversarial": "pgd", "attack_steps": 2, "precision": "bfloat16"},
    "clipping, smoothing, a schedule and an average": {
        "ema_decay": 0.9,
        "layer_decay": 0.7,
        "clip_norm": 0.1,
        "label_smoothing": 0.1,
        "schedule": "one_cycle",
    },
    "mixed images and weighted classes": {
        "mixup": 0.2,
        "cutmix": 1.0,
        "class_weights": "balanced",
        "loss": "focal",
    },
    **{f"{name} with decay": {"optimizer": name, "weight_decay": 0.01} for name in OPTIMIZERS},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_step_waits_for_nothing_whatever_its_settings(name: str, digits: TrainingData) -> None:
    trial = make_trial(model=MOODY, batch_size=32, **SETTINGS[name])
    check_steps(Member(trial, digits, 0))
    check_steps(Member(trial, digits, 0, batch_split=2))
    if trial.settings.optimizer != "rmsprop":  # on the CPU it reads the rate's tensor, on a GPU not
        check_steps(Member(trial, digits, 0, graphed=True))


def test_augmentation_waits_for_nothing_on_a_gpu(
    colours: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colour, "_shift_chosen", colour._shift_all)  # as there
    monkeypatch.setattr(policy_operations, "_change_some", policy_operations._change_all)
    everything = {"augment": "+".join(AUGMENTATIONS), "jitter_hue": 0.1, "cutout_size": 4}
    trial = make_trial(model=MOODY, batch_size=16, **everything)
    check_steps(Member(trial, colours, 0, graphed=True))


@pytest.mark.parametrize("family", list_families())
def test_a_step_of_every_family_waits_for_nothing(family: str, colours: TrainingData) -> None:
    trial = make_trial(model=ModelConfig(family=family), dropout=0.2, batch_size=4)
    check_steps(Member(trial, colours, 0))
