"""Networks of torchvision and timm: every kind builds, repeats itself and gives gradients."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model
from torchvision.ops import StochasticDepth
from zoo_models import MANY, ONE_OF_A_KIND

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.errors import InputError, SearchlabError
from searchlab.models.adaptation import Head, freeze_body, head_of
from searchlab.models.build import (
    build_model,
    build_unset,
    check_model,
    count_multiply_adds,
    count_parameters,
)
from searchlab.models.dropout import set_dropout_generator
from searchlab.models.pretrained import fetch_imagenet_weights
from searchlab.models.registry import ImageShape

SHAPE = (3, 64, 64)
NUM_CLASSES = 7

FEW = ["vit_tiny_patch16_224", "convnext_atto"]
"""Of timm, for the default suite: class tokens and attention, patches and layer scales."""


def configure(family: str, model: str, scheme: str = "DT", **parameters: Any) -> ModelConfig:
    return ModelConfig(family=family, parameters={"model": model, **parameters}, scheme=scheme)


def build(
    config: ModelConfig, image_shape: ImageShape = SHAPE, key: int = 0, **settings: Any
) -> nn.Module:
    return build_model(
        config,
        TrainingSettings(**settings),
        image_shape=image_shape,
        num_classes=NUM_CLASSES,
        key=(key, 0, 0),
    )


def check_kind(family: str, model: str) -> None:
    config = configure(family, model)
    check_model(config, image_shape=SHAPE, num_classes=NUM_CLASSES)
    before = torch.get_rng_state()
    one, again, other = build(config), build(config), build(config, key=1)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    assert not all(
        torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True)
    )
    unset = build_unset(config, TrainingSettings(), image_shape=SHAPE, num_classes=NUM_CLASSES)
    unset.load_state_dict(one.state_dict())
    images = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(unset.eval()(images), one.eval()(images))
    set_dropout_generator(one, torch.Generator())
    loss = cross_entropy(one.train()(images), torch.arange(4))
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad is not None for parameter in one.parameters())
    counted = count_parameters(config, image_shape=SHAPE, num_classes=NUM_CLASSES)
    assert counted == sum(parameter.numel() for parameter in one.parameters())


@pytest.mark.parametrize("model", FEW)
def test_kinds_of_networks_repeat_themselves_and_train(model: str) -> None:
    check_kind("timm", model)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "model"), MANY)
def test_many_networks_repeat_themselves_and_train(family: str, model: str) -> None:
    check_kind(family, model)


@pytest.mark.parametrize(("family", "model"), [("torchvision", "resnet18"), ("timm", "resnet10t")])
def test_default_init_is_the_librarys_own(family: str, model: str) -> None:
    ours = build(configure(family, model))
    torch.manual_seed(0)
    make = get_model if family == "torchvision" else timm.create_model
    theirs = make(model, num_classes=NUM_CLASSES)
    stds = [
        (a.std().item(), b.std().item())
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)
        if a.numel() > 1000
    ]
    assert all(one == pytest.approx(other, rel=0.1) for one, other in stds)


def test_another_init_is_drawn_for_the_layers_that_it_knows() -> None:
    ours = build(configure("timm", "vit_tiny_patch16_224"), init="kaiming_normal")
    default = build(configure("timm", "vit_tiny_patch16_224"))
    weight = ours.get_parameter("blocks.0.mlp.fc1.weight")
    assert weight.std().item() == pytest.approx((2 / weight.shape[1]) ** 0.5, rel=0.02)
    for kept in ("cls_token", "pos_embed"):
        assert torch.equal(ours.get_parameter(kept), default.get_parameter(kept))


@pytest.mark.parametrize(
    ("model", "layer"),
    [("vit_tiny_patch16_224", "patch_embed.proj"), ("convnext_atto", "stem.0")],
)
def test_patches_are_not_set_by_hand(model: str, layer: str) -> None:
    with pytest.raises(InputError, match=f"cannot be HF because {layer} cuts images into patches"):
        build(configure("timm", model, "HF"))


def test_schemes_start_equal_but_for_the_first_convolution() -> None:
    frozen, default = (build(configure("timm", "resnet10t", scheme)) for scheme in ("HF", "DT"))
    differing = {
        name
        for name, value in frozen.state_dict().items()
        if not torch.equal(value, default.state_dict()[name])
    }
    assert differing == {"conv1.0.weight"}
    assert not frozen.get_parameter("conv1.0.weight").requires_grad


@pytest.mark.parametrize(
    ("family", "model"), [("torchvision", "mobilenet_v3_small"), ("timm", "resnet10t")]
)
def test_dropout_precedes_the_head_alone(family: str, model: str) -> None:
    network = build(configure(family, model), dropout=0.3)
    head = network.get_submodule(head_of(network))
    assert isinstance(head, Head)
    assert head.dropout1.probability == 0.3
    beside = network.get_submodule(head_of(network).rpartition(".")[0]).children()
    assert all(one.p == 0 for one in beside if isinstance(one, nn.Dropout))


def test_drop_path_rises_to_its_value_and_is_refused_without_blocks() -> None:
    network = build(configure("torchvision", "convnext_tiny", drop_path=0.4))
    depths = [one.p for one in network.modules() if isinstance(one, StochasticDepth)]
    assert depths == sorted(depths)
    assert depths[-1] == pytest.approx(0.4)
    with pytest.raises(InputError, match="must have a drop_path of 0 for resnet18"):
        build(configure("torchvision", "resnet18", drop_path=0.1))
    with pytest.raises(InputError, match="cannot be vgg11 for these images and options"):
        build(configure("timm", "vgg11", drop_path=0.1))


@pytest.mark.parametrize(
    ("family", "model", "last"),
    [
        ("torchvision", "resnet18", "layer4."),
        ("timm", "vit_tiny_patch16_224", "blocks.11."),
        ("timm", "resnet10t", "layer4."),
    ],
)
def test_what_is_not_trained_is_frozen_with_its_statistics(
    family: str, model: str, last: str
) -> None:
    network = build(configure(family, model, trainable="last+head"))
    places = (last, f"{head_of(network)}.")
    trained = {name for name, one in network.named_parameters() if one.requires_grad}
    assert trained == {name for name, _ in network.named_parameters() if name.startswith(places)}
    before = {name: value.clone() for name, value in network.named_buffers()}
    set_dropout_generator(network, torch.Generator())
    network.train()(torch.randn(2, *SHAPE))
    moved = {
        name for name, value in network.named_buffers() if not torch.equal(value, before[name])
    }
    assert all(name.startswith(last) for name in moved)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize(("family", "model"), [("torchvision", "resnet18"), ("timm", "resnet10t")])
def test_images_may_have_any_number_of_channels(family: str, model: str, channels: int) -> None:
    network = build(configure(family, model), image_shape=(channels, 32, 32))
    assert network.eval()(torch.zeros(1, channels, 32, 32)).shape == (1, NUM_CLASSES)


@pytest.mark.parametrize(
    ("family", "model", "rule"),
    [
        (
            "torchvision",
            "resnet19",
            "must have a classifier of torchvision as model, got 'resnet19'",
        ),
        ("timm", "resnet10x", "must have a model of timm as model, got 'resnet10x'"),
        ("timm", "zzz", r"timm.list_models\(\) lists them"),
        ("timm", "levit_128s", "must have a model with one head"),
        ("torchvision", "vit_b_16", "square images whose side is a multiple of 16"),
        ("torchvision", "inception_v3", "does not fit images"),
        ("torchvision", "maxvit_t", "cannot be maxvit_t for these images"),
    ],
)
def test_what_cannot_be_built_is_one_clear_message(family: str, model: str, rule: str) -> None:
    with pytest.raises(InputError, match=f"family {family}.*{rule}"):
        check_model(configure(family, model), image_shape=(3, 40, 40), num_classes=NUM_CLASSES)


def test_attention_is_counted() -> None:
    config = configure("timm", "vit_tiny_patch16_224")
    counted = count_multiply_adds(config, image_shape=SHAPE, num_classes=NUM_CLASSES)
    width, layers, patches = 192, 12, 16
    tokens = patches + 1
    block = tokens * 12 * width**2 + 2 * tokens**2 * width
    assert counted == layers * block + patches * 3 * 16**2 * width + width * NUM_CLASSES


def test_weights_of_the_same_network_are_loaded_but_for_the_head(tmp_path: Any) -> None:
    file = tmp_path / "weights.pth"
    donor = get_model("resnet18", num_classes=3)
    torch.save(donor.state_dict(), file)
    network = build(configure("torchvision", "resnet18", weights=str(file)))
    assert torch.equal(network.get_parameter("layer4.1.conv2.weight"), donor.layer4[1].conv2.weight)
    with pytest.raises(InputError, match="does not fit the weights of"):
        build(configure("torchvision", "resnet34", weights=str(file)))


@pytest.mark.slow
def test_a_vision_transformers_positions_are_interpolated_to_the_size_of_the_images(
    tmp_path: Any,
) -> None:
    larger = get_model("vit_b_32", image_size=96, num_classes=2)  # 3x3 patches
    positions = larger.encoder.pos_embedding.detach()
    with torch.no_grad():
        positions[:, 1:] = torch.tensor([[0.0, 1.0, 2.0]]).repeat(3, 1).reshape(1, 9, 1)
    torch.save(larger.state_dict(), tmp_path / "larger.pt")
    config = configure("torchvision", "vit_b_32", weights=str(tmp_path / "larger.pt"))
    found = build(config).encoder.pos_embedding.detach()  # 2x2 patches
    assert torch.equal(found[:, 0], positions[:, 0])
    assert torch.allclose(found[0, 1:, 0], torch.tensor([0.0, 2.0, 0.0, 2.0]), atol=1e-6)
    wide = {**larger.state_dict(), "encoder.pos_embedding": positions[:, :9]}  # 8 are no square
    torch.save(wide, tmp_path / "larger.pt")
    with pytest.raises(InputError, match=r"encoder\.pos_embedding is \[1, 9, 768\]"):
        build(config)


def test_the_hub_out_of_reach_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *, pretrained: bool = False, **options: Any) -> nn.Module:
        if pretrained:
            raise OSError("no network")
        return original(name, **options)

    original = timm.create_model
    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(SearchlabError, match="cannot fetch the weights of resnet10t: no network"):
        build(configure("timm", "resnet10t", weights="hub"))


def test_freezing_a_network_of_one_layer_keeps_it() -> None:
    network = nn.Sequential(nn.Linear(2, 2), Head(nn.Linear(2, 2), 0.0))
    freeze_body(network, "last+head")
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_network_without_the_usual_imagenet_weights_is_refused() -> None:
    with pytest.raises(InputError, match="must find the imagenet weights of vit_h_14"):
        fetch_imagenet_weights("vit_h_14")


@pytest.mark.slow
@pytest.mark.parametrize(("family", "model"), ONE_OF_A_KIND)
def test_multiply_adds_are_half_of_the_operations_that_torch_counts(
    family: str, model: str
) -> None:
    config = configure(family, model)
    network = build(config).eval()
    was_fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, *SHAPE))
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fused)
    counted = count_multiply_adds(config, image_shape=SHAPE, num_classes=NUM_CLASSES)
    assert 2 * counted == counter.get_total_flops()
