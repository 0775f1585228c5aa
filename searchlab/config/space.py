"""SpaceSpec: the searched parameters as a tree, in which a family's own hang under its choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Discriminator, Field, RootModel, Tag, field_validator

from searchlab.config.nodes import Choice, Fixed, Range
from searchlab.config.settings import SHARED_PARAMETERS, TrainingSettings
from searchlab.config.trial import Scalar
from searchlab.config.validation import Slug, Spec
from searchlab.errors import InputError, did_you_mean

__all__ = ["EachLayer", "Leaf", "Node", "Options", "SpaceSize", "SpaceSpec"]


def _leaf_kind(value: Any) -> str:
    if isinstance(value, (Fixed, Choice, Range, EachLayer, Options)):
        return {Fixed: "@fixed", Choice: "@choice", Range: "@range", EachLayer: "@each_layer"}.get(
            type(value), "@options"
        )
    if isinstance(value, (list, tuple)):
        return "@choice"
    if isinstance(value, dict):
        if "each_layer" in value:
            return "@each_layer"
        return "@range" if value.keys() & {"low", "high", "step", "log"} else "@options"
    return "@fixed"


class EachLayer(Spec):
    """``{each_layer: node}``: one value per layer instead of one for all."""

    each_layer: Annotated[
        Annotated[Choice, Tag("@choice")] | Annotated[Range, Tag("@range")],
        Discriminator(_leaf_kind),
    ]

    def ends(self) -> tuple[Scalar, ...]:
        """Return the values that decide whether a layer's parameter is admissible."""
        return self.each_layer.ends()

    def describe(self) -> tuple[str, str]:
        """Return the kind of parameter, and a layer's values as text."""
        kind, values = self.each_layer.describe()
        return f"{kind} per layer", values


Leaf = Annotated[
    Annotated[Fixed, Tag("@fixed")]
    | Annotated[Choice, Tag("@choice")]
    | Annotated[Range, Tag("@range")]
    | Annotated[EachLayer, Tag("@each_layer")],
    Discriminator(_leaf_kind),
]


class Options(RootModel[dict[str, dict[str, Leaf]]]):
    """A choice whose options own the parameters under them."""

    model_config = {"frozen": True}

    @field_validator("root", mode="before")
    @classmethod
    def _empty_option_is_none(cls, value: Any) -> Any:
        if isinstance(value, dict):
            if not value:
                raise InputError("must name at least one option")
            return {key: {} if item is None else item for key, item in value.items()}
        return value


Node = Annotated[
    Annotated[Fixed, Tag("@fixed")]
    | Annotated[Choice, Tag("@choice")]
    | Annotated[Range, Tag("@range")]
    | Annotated[EachLayer, Tag("@each_layer")]
    | Annotated[Options, Tag("@options")],
    Discriminator(_leaf_kind),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSize:
    """How many configurations a space holds.

    ``discrete`` counts the combinations of everything countable; if ``num_continuous`` > 0,
    each of them comes in infinitely many settings of that many continuous parameters.
    """

    discrete: int
    num_continuous: int

    def __str__(self) -> str:
        text = f"{self.discrete:,} configuration{'s' if self.discrete != 1 else ''}"
        if self.num_continuous:
            noun = "parameter" if self.num_continuous == 1 else "parameters"
            text += f" x {self.num_continuous} continuous {noun}"
        return text


class SpaceSpec(Spec):
    """A search space, as in ``spaces/*.yaml``.

    The parameters at the top are shared by all families: the searchable fields of a study's
    ``training``, and ``family``. Those under an option of ``family`` are that family's own.
    """

    name: Slug | None = None
    parameters: dict[str, Node] = Field(min_length=1)

    @field_validator("parameters")
    @classmethod
    def _check_names(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        for name, node in parameters.items():
            if name == "family":
                _check_family(node)
            else:
                _check_shared(name, node)
        if "family" not in parameters:
            raise InputError("must have a family, such as family: [cnn, fcn]")
        return parameters

    @property
    def shared(self) -> dict[str, Fixed | Choice | Range]:
        """The parameters that every family has."""
        return {
            name: node
            for name, node in self.parameters.items()
            if name != "family" and isinstance(node, (Fixed, Choice, Range))
        }

    @property
    def family(self) -> Fixed | Choice:
        """The parameter that says which family a configuration is of."""
        node = self.parameters["family"]
        if isinstance(node, Options):
            return Choice(tuple(node.root))
        assert isinstance(node, (Fixed, Choice)), node
        return node

    @property
    def families(self) -> dict[str, dict[str, Fixed | Choice | Range | EachLayer]]:
        """Each family of the space with its own parameters, in the order written."""
        node = self.parameters["family"]
        if isinstance(node, Options):
            return dict(node.root)
        return {str(value): {} for value in self.family.values()}

    def with_families(
        self, families: dict[str, dict[str, Fixed | Choice | Range | EachLayer]]
    ) -> SpaceSpec:
        """Return this space with other families; the rest stays."""
        return SpaceSpec(name=self.name, parameters={**self.shared, "family": Options(families)})

    def size(self) -> SpaceSize:
        """Count the configurations; a depth of n with per-layer values counts every combination."""
        shared, continuous = _product(self.shared.values())
        total, most_continuous = 0, 0
        for own in self.families.values():
            layered = [node for node in own.values() if isinstance(node, EachLayer)]
            plain = [
                node
                for name, node in own.items()
                if not isinstance(node, EachLayer) and not (layered and name == "depth")
            ]
            count, own_continuous = _product(plain)
            depths = _depths(own) if layered else (1,)
            per_layer, layer_continuous = _product(node.each_layer for node in layered)
            total += count * sum(per_layer**depth for depth in depths)
            own_continuous += layer_continuous * max(depths)
            most_continuous = max(most_continuous, own_continuous)
        return SpaceSize(discrete=shared * total, num_continuous=continuous + most_continuous)

    def to_data(self) -> dict[str, Any]:
        """Return plain data that reads back as an equal space."""
        data: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True)
        return data


def _check_shared(name: str, node: Any) -> None:
    if name not in SHARED_PARAMETERS:
        hint = did_you_mean(name, [*SHARED_PARAMETERS, "family"])
        raise InputError(
            "is not a known parameter",
            where=(name,),
            remedy=f"A family's own parameters belong under that family. {hint}",
        )
    if isinstance(node, (Options, EachLayer)):
        raise InputError("must be a value, a list or a range: all families share it", where=(name,))
    for value in node.ends():
        try:
            TrainingSettings.check_value(name, value)
        except InputError as error:
            raise error.at((name,)) from None


def _check_family(node: Any) -> None:
    if isinstance(node, (Range, EachLayer)):
        raise InputError("must be a name, a list of names, or a mapping of them", where=("family",))
    for name in node.root if isinstance(node, Options) else node.values():
        if not isinstance(name, str):
            raise InputError("must name families by text", where=("family",), found=name)


def _product(nodes: Any) -> tuple[int, int]:
    total, continuous = 1, 0
    for node in nodes:
        count = node.count()
        if count is None:
            continuous += 1
        else:
            total *= count
    return total, continuous


def _depths(own: dict[str, Any]) -> tuple[int, ...]:
    """Return the depths that a ``depth`` node can take; 1 if it is not given and so unknown."""
    node = own.get("depth")
    values = (node.values() if isinstance(node, (Fixed, Choice, Range)) else None) or ()
    # The family, not the count, refuses an invalid depth.
    return tuple(value for value in values if isinstance(value, int)) or (1,)
