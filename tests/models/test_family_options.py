"""What the parameters of cnn, fcn and local do to the network, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.errors import InputError
from searchlab.models import get_family
from searchlab.models.build import build_model, check_model, count_parameters
from searchlab.models.dropout import SeededDropout
from searchlab.models.registry import ImageShape

NUM_CLASSES = 7


def build(
    config: ModelConfig, image_shape: ImageShape = (1, 8, 8), *, dropout: float = 0.0
) -> nn.Module:
    settings = TrainingSettings(dropout=dropout)
    return build_model(
        config, settings, image_shape=image_shape, num_classes=NUM_CLASSES, key=(0, 0, 0)
    )


def layers_of(family: str, *, dropout: float = 0.0, **parameters: object) -> list[str]:
    model = build(ModelConfig(family=family, parameters=parameters), dropout=dropout)
    return [name for name, _ in model.named_children()]


def test_cnn_pools_only_while_both_sides_allow_it() -> None:
    config = ModelConfig(family="cnn", parameters={"depth": 8, "width": 4})
    model = build(config, (1, 8, 20))
    pools = [name for name, _ in model.named_children() if name.startswith("pool")]
    assert pools == ["pool1", "pool2", "pool3"]
    assert model.fc1.in_features == 4 * 1 * 2


def test_cnn_takes_one_value_per_layer_and_a_hidden_layer() -> None:
    parameters = {"depth": 3, "width": (4, 5, 6), "kernel": (5, 3, 1), "hidden": 9}
    model = build(ModelConfig(family="cnn", parameters=parameters), (3, 16, 16))
    convs = [model.conv1, model.conv2, model.conv3]
    assert [conv.out_channels for conv in convs] == [4, 5, 6]
    assert [conv.kernel_size[0] for conv in convs] == [5, 3, 1]
    assert (model.fc1.out_features, model.fc2.in_features) == (9, 9)
    assert model(torch.ones(2, 3, 16, 16)).shape == (2, NUM_CLASSES)


def test_fcn_takes_one_width_per_layer() -> None:
    config = ModelConfig(family="fcn", parameters={"depth": 3, "width": (9, 8, 6)})
    model = build(config)
    widths = [model.get_submodule(f"fc{number}").out_features for number in (1, 2, 3, 4)]
    assert widths == [9, 8, 6, NUM_CLASSES]


@pytest.mark.parametrize("family", ["cnn", "fcn"])
def test_wrong_number_of_layer_values_is_an_input_error(family: str) -> None:
    config = ModelConfig(family=family, parameters={"depth": 2, "width": (16, 32, 64)})
    with pytest.raises(
        InputError, match=rf"{family}: width must have one value.* 2 layers, got 3 values"
    ):
        build(config)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"widht": 3}, r"cnn\.widht is not a parameter .* Did you mean width\?"),
        ({"depth": 9}, r"cnn\.depth must be less than or equal to 8, got 9"),
        ({"width": (16, 0)}, r"cnn\.width must be greater than or equal to 1, got 0"),
        ({"activation": "rellu"}, r"cnn\.activation .* got 'rellu'\. Did you mean relu"),
        ({"depth": (1, 2)}, r"cnn\.depth must be a whole number"),
    ],
)
def test_wrong_parameters_are_input_errors_with_their_place(parameters: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_model(
            ModelConfig(family="cnn", parameters=parameters), image_shape=(1, 8, 8), num_classes=2
        )


def test_unknown_family_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"got 'cnnn'\. Did you mean cnn"):
        get_family("cnnn")


def test_cnn_pools_where_it_is_told_to() -> None:
    parameters = {"depth": 3, "width": 4, "pool": (1, 2, 1)}
    model = build(ModelConfig(family="cnn", parameters=parameters))
    assert [name for name, _ in model.named_children() if "pool" in name] == ["pool2"]
    assert model.fc1.in_features == 4 * 4 * 4


def test_cnn_without_new_options_is_as_it_was() -> None:
    layers = ["conv1", "pool1", "activation1", "flatten", "dropout1", "fc1"]
    assert layers_of("cnn", depth=1) == layers
    hidden = ["activation2", "dropout2", "fc2"]
    assert layers_of("cnn", depth=1, hidden=8) == layers + hidden


def test_cnn_normalises_before_activations_and_after_the_first_hidden_layer_only() -> None:
    layers = layers_of("cnn", depth=1, hidden=8, hidden2=6, batch_norm=True)
    convolution = ["conv1", "norm1", "pool1", "activation1", "flatten"]
    first = ["dropout1", "fc1", "norm2", "activation2"]
    second = ["dropout2", "fc2", "activation3"]
    assert layers == [*convolution, *first, *second, "dropout3", "fc3"]


def test_cnn_takes_two_hidden_layers_and_a_second_one_alone_is_the_first() -> None:
    model = build(ModelConfig(family="cnn", parameters={"hidden": 9, "hidden2": 5}))
    assert (model.fc1.out_features, model.fc2.out_features) == (9, 5)
    shape = {"image_shape": (1, 8, 8), "num_classes": 3}
    alone, first = (
        count_parameters(ModelConfig(family="cnn", parameters={field: 5}), **shape)
        for field in ("hidden2", "hidden")
    )
    assert alone == first


def test_cnn_drops_where_report_001_does() -> None:
    parameters = {
        "depth": 2, "width": 4, "hidden": 8, "block_dropout": 0.25, "dropout_at": "hidden",
    }  # fmt: skip
    model = build(ModelConfig(family="cnn", parameters=parameters), dropout=0.5)
    names = [name for name, _ in model.named_children()]
    drops = {
        name: (names[place - 1], module.probability)
        for place, (name, module) in enumerate(model.named_children())
        if isinstance(module, SeededDropout)
    }
    assert drops == {
        "block_dropout1": ("activation1", 0.25),
        "block_dropout2": ("activation2", 0.25),
        "dropout2": ("activation3", 0.5),
    }


def test_dropout_after_hidden_layers_only_needs_one() -> None:
    assert not any("dropout" in name for name in layers_of("cnn", dropout_at="hidden", dropout=0.5))


def test_fcn_normalises_every_hidden_layer_before_its_activation() -> None:
    hidden = [[f"fc{n}", f"norm{n}", f"activation{n}", f"dropout{n}"] for n in (1, 2)]
    assert layers_of("fcn", depth=2, batch_norm=True) == ["flatten", *hidden[0], *hidden[1], "fc3"]


def test_local_takes_one_value_per_layer() -> None:
    parameters = {
        "depth": 2, "width": (3, 5), "kernel": (5, 3), "stride": (2, 1), "hidden": 9,
    }  # fmt: skip
    model = build(ModelConfig(family="local", parameters=parameters), (2, 9, 6))
    assert model.local1.output_size == model.local2.output_size == (5, 3)
    assert model.local1.weight.shape == (15, 3, 2 * 25)
    assert model.local2.weight.shape == (15, 5, 3 * 9)
    assert (model.fc1.in_features, model.fc2.in_features) == (5 * 15, 9)


@pytest.mark.parametrize(
    ("family", "parameters", "message"),
    [
        ("cnn", {"pool": 3}, r"cnn\.pool must be less than or equal to 2, got 3"),
        ("cnn", {"batch_norm": 1}, r"cnn\.batch_norm must be a boolean"),
        ("cnn", {"block_dropout": 1.0}, r"cnn\.block_dropout must be less than 1, got 1\.0"),
        ("cnn", {"dropout_at": "evry"}, r"cnn\.dropout_at .*Did you mean every\?"),
        ("local", {"stride": 0}, r"local\.stride must be greater than or equal to 1, got 0"),
        ("local", {"kernel": 4}, r"local\.kernel must be odd"),
    ],
)
def test_options_say_which_rule_is_broken(family: str, parameters: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(ModelConfig(family=family, parameters=parameters))


@pytest.mark.parametrize(
    ("family", "parameters"),
    [("cnn", {"depth": 1, "hidden": 8}), ("fcn", {"depth": 2})],
)
def test_a_last_batch_of_one_image_can_be_trained_on_with_batch_norm(
    family: str, parameters: dict
) -> None:
    config = ModelConfig(family=family, parameters={**parameters, "batch_norm": True})
    model = build(config).train()
    loss = model(torch.ones(1, 1, 8, 8)).logsumexp(1).sum()
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
