"""Report 000's check: rivals start from the same weights, the norm of the difference is 0."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import SCHEMES, ModelConfig
from searchlab.errors import InputError
from searchlab.models import get_family, list_families
from searchlab.models.build import build_model, check_model
from searchlab.models.initialisation import layer_of_schemes
from searchlab.models.kernels import hand_kernels

WITH_CONV = [name for name in list_families() if get_family(name).first_conv]
WITHOUT_CONV = [name for name in list_families() if not get_family(name).first_conv]


def build(family: str, scheme: str, channels: int = 1, **settings: Any) -> nn.Module:
    return build_model(
        ModelConfig(family=family, scheme=scheme),
        TrainingSettings(**settings),
        image_shape=(channels, 16, 16),
        num_classes=10,
        key=(0, 0, 0),
    )


def differences(one: nn.Module, other: nn.Module) -> dict[str, float]:
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    return {name: (ours[name] - theirs[name]).float().norm().item() for name in ours}


@pytest.mark.parametrize("family", WITH_CONV)
@pytest.mark.parametrize("init", ["default", "kaiming_normal"])
@pytest.mark.parametrize("channels", [1, 3])
def test_hf_and_ht_start_equal_and_dt_differs_in_the_first_layer_only(
    family: str, init: str, channels: int
) -> None:
    hand_frozen, hand_trained, default_trained = (
        build(family, scheme, channels, init=init) for scheme in ("HF", "HT", "DT")
    )
    assert set(differences(hand_frozen, hand_trained).values()) == {0.0}
    first = f"{layer_of_schemes(hand_frozen, get_family(family))}."
    for name, norm in differences(hand_trained, default_trained).items():
        # Outside `default`, the biases of DT are zero too, as those set by hand are.
        expect_equal = not name.startswith(first) or (name.endswith("bias") and init != "default")
        assert (norm == 0.0) == expect_equal, name


@pytest.mark.parametrize("family", WITH_CONV)
def test_only_hf_freezes_and_only_the_first_layer(family: str) -> None:
    for scheme in SCHEMES:
        model = build(family, scheme)
        first = f"{layer_of_schemes(model, get_family(family))}."
        for name, parameter in model.named_parameters():
            assert parameter.requires_grad != (scheme == "HF" and name.startswith(first)), name


@pytest.mark.parametrize("report", ["", "_report002"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a1_and_a2_share_the_first_layer(scheme: str, channels: int, report: str) -> None:
    one, other = (build(f"{name}{report}", scheme, channels) for name in ("a1", "a2"))
    assert torch.linalg.vector_norm(one.conv1.weight - other.conv1.weight).item() == 0.0
    assert torch.linalg.vector_norm(one.conv1.bias - other.conv1.bias).item() == 0.0


@pytest.mark.parametrize("channels", [1, 3])
def test_hand_set_layer_holds_the_published_kernels_on_every_channel(channels: int) -> None:
    conv = build("a1", "HT", channels).conv1
    for channel in range(channels):
        assert torch.equal(conv.weight[:, channel], hand_kernels(5, (3, 3)))
    assert torch.count_nonzero(conv.bias) == 0


@pytest.mark.parametrize("family", WITHOUT_CONV)
@pytest.mark.parametrize("scheme", ["HF", "HT"])
def test_family_without_convolution_refuses_hand_schemes(family: str, scheme: str) -> None:
    config = ModelConfig(family=family, scheme=scheme)
    message = f"{scheme} with the family {family}"
    with pytest.raises(InputError, match=message):
        build(family, scheme)
    with pytest.raises(InputError, match=message):
        check_model(config, image_shape=(1, 16, 16), num_classes=10)


def test_check_model_refuses_more_filters_than_hand_patterns() -> None:
    config = ModelConfig(family="cnn", scheme="HF", parameters={"width": 512, "kernel": 3})
    with pytest.raises(InputError, match="takes 1 to 511 filters, got 512"):
        check_model(config, image_shape=(1, 16, 16), num_classes=10)


def test_unknown_scheme_is_an_input_error() -> None:
    with pytest.raises(InputError, match="scheme must be a known scheme, got 'HD'"):
        build("a1", "HD")
