"""A class or function of one's own as a family: its arguments are the family's parameters."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.errors import InputError
from searchlab.models import get_family, register_network, registry
from searchlab.models.build import build_model, build_unset, check_model
from searchlab.models.dropout import SeededDropout

SHAPE = (2, 8, 8)


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_FAMILIES", dict(registry._FAMILIES))


class Tokens(nn.Module):
    """A map averaged beside a learnt token.

    The rest of the docstring is no summary.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        width: int = 4,
        pooling: Literal["mean", "max"] = "mean",
    ) -> None:
        super().__init__()
        if width > 64:
            raise ValueError("width must be at most 64")
        self.pooling = pooling
        self.token = nn.Parameter(torch.randn(width))
        self.register_buffer("scale", torch.tensor(3.0), persistent=False)
        self.conv = nn.Conv2d(in_channels, width, 3)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        pooled = maps.mean((2, 3)) if self.pooling == "mean" else maps.amax((2, 3))
        return self.head(pooled * self.scale + self.token)


def build(name: str, key: int = 0, **settings: float) -> nn.Module:
    return build_model(
        ModelConfig(family=name),
        TrainingSettings(**settings),
        image_shape=SHAPE,
        num_classes=3,
        key=(key,),
    )


def test_arguments_with_defaults_are_the_parameters() -> None:
    register_network(Tokens)
    family = get_family("Tokens")
    assert family.summary == "A map averaged beside a learnt token."
    assert family.parameters.field_names() == ("width", "pooling")
    with pytest.raises(InputError, match="pooling"):
        family.parameters.parse({"pooling": "median"}, where="Tokens")
    wide = ModelConfig(family="Tokens", parameters={"width": 8}, scheme="HF")
    check_model(wide, image_shape=SHAPE, num_classes=3)


def test_weights_are_those_that_its_own_code_draws_from_the_key() -> None:
    register_network(Tokens)
    state = torch.get_rng_state()
    one, again, other = build("Tokens"), build("Tokens"), build("Tokens", key=1)
    assert torch.equal(state, torch.get_rng_state())
    for name in ("token", "conv.weight"):
        assert torch.equal(one.get_parameter(name), again.get_parameter(name))
        assert not torch.equal(one.get_parameter(name), other.get_parameter(name))


def test_a_buffer_that_no_file_keeps_is_there_when_weights_are_loaded() -> None:
    register_network(Tokens)
    unset = build_unset(
        ModelConfig(family="Tokens"), TrainingSettings(), image_shape=SHAPE, num_classes=3
    )
    drawn = build("Tokens")
    unset.load_state_dict(drawn.state_dict())
    images = torch.rand(2, *SHAPE)
    assert torch.equal(unset.eval()(images), drawn.eval()(images))


def test_dropout_precedes_the_head_unless_the_network_takes_it() -> None:
    register_network(Tokens)
    assert build("Tokens", dropout=0.4).head.dropout1.probability == 0.4

    @register_network
    def own_dropout(
        image_shape: tuple[int, int, int], num_classes: int, dropout: float
    ) -> nn.Module:
        size = image_shape[0] * image_shape[1] * image_shape[2]
        return nn.Sequential(nn.Flatten(), SeededDropout(dropout), nn.Linear(size, num_classes))

    assert isinstance(build("own_dropout", dropout=0.4)[2], nn.Linear)
    assert build("own_dropout", dropout=0.4)[1].probability == 0.4


def test_what_its_constructor_refuses_is_bad_input() -> None:
    register_network(Tokens)
    config = ModelConfig(family="Tokens", parameters={"width": 65})
    with pytest.raises(InputError, match=r"family Tokens cannot be built with .*at most 64"):
        check_model(config, image_shape=SHAPE, num_classes=3)


def no_classes(width: int = 3) -> nn.Module:
    raise NotImplementedError


def no_default(num_classes: int, width: int) -> nn.Module:
    raise NotImplementedError


def no_annotation(num_classes: int, width=3) -> nn.Module:  # type: ignore[no-untyped-def]
    raise NotImplementedError


def any_arguments(num_classes: int, **options: int) -> nn.Module:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (no_classes, "needs an argument num_classes"),
        (no_default, "width needs an annotation and a default"),
        (no_annotation, "width needs an annotation and a default"),
        (any_arguments, r"must name each of its arguments, without \*options"),
    ],
)
def test_a_signature_that_no_study_can_fill_is_refused(make: object, rule: str) -> None:
    with pytest.raises(TypeError, match=rule):
        register_network(make)


def test_a_name_that_is_taken_is_refused() -> None:
    register_network(Tokens)
    with pytest.raises(InputError, match="'Tokens' is already registered"):
        register_network(Tokens)
