"""SpaceSpec: the searched parameters as a tree, in which a family's own hang under its choice."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    Discriminator,
    Field,
    RootModel,
    Tag,
    field_validator,
    model_validator,
)

from searchlab.config.settings import SHARED_PARAMETERS, TrainingSettings
from searchlab.config.trial import Scalar
from searchlab.config.validation import Number, Slug, Spec, Value
from searchlab.errors import InputError, did_you_mean

__all__ = [
    "Choice",
    "EachLayer",
    "Fixed",
    "Leaf",
    "Node",
    "Options",
    "Range",
    "SpaceSize",
    "SpaceSpec",
    "leaf_values",
]


class Fixed(RootModel[Value]):
    """A scalar: not searched."""

    model_config = {"frozen": True}

    def contains(self, value: Scalar) -> bool:
        """Tell whether ``value`` is the fixed one."""
        return _same(value, self.root)

    def count(self) -> int:
        """Return 1."""
        return 1

    def values(self) -> tuple[Scalar, ...] | None:
        """Return the only value."""
        return (self.root,)


class Choice(RootModel[tuple[Value, ...]]):
    """A list: one of its values, without order (a categorical)."""

    model_config = {"frozen": True}

    @field_validator("root", mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("root")
    @classmethod
    def _check(cls, value: tuple[Value, ...]) -> tuple[Value, ...]:
        if not value:
            raise InputError("must name at least one value")
        for index, item in enumerate(value):
            # 1, 1.0 and true are equal to Python and to Optuna, so they are one choice.
            if item in value[:index]:
                raise InputError(f"must name each value once, got {item!r} twice")
        return value

    def contains(self, value: Scalar) -> bool:
        """Tell whether ``value`` is one of the choices."""
        return any(_same(value, item) for item in self.root)

    def count(self) -> int:
        """Count the choices."""
        return len(self.root)

    def values(self) -> tuple[Scalar, ...] | None:
        """Return the choices, in the order written."""
        return self.root


class Range(Spec):
    """``{low, high, step?, log?}``, both ends included; whole numbers when both ends are."""

    low: Number
    high: Number
    step: Number | None = None
    log: bool = False

    @model_validator(mode="after")
    def _check(self) -> Range:
        if not self.low < self.high:
            raise InputError(f"must be < high ({self.high!r})", where=("low",), found=self.low)
        if self.log and self.low <= 0:
            raise InputError("must be > 0 when log is true", where=("low",), found=self.low)
        if self.step is not None:
            self._check_step(self.step)
        return self

    def _check_step(self, step: float) -> None:
        if self.log:
            raise InputError(
                "cannot go with log",
                where=("step",),
                found=step,
                remedy="Give a list instead",
            )
        if step <= 0:
            raise InputError("must be > 0", where=("step",), found=step)
        if self.is_int and not isinstance(step, int):
            raise InputError("must be whole when low and high are", where=("step",), found=step)
        if not self._is_on_step(self.high, step):
            raise InputError(
                f"must be low ({self.low!r}) plus a whole number of steps ({step!r})",
                where=("high",),
                found=self.high,
            )

    @property
    def is_int(self) -> bool:
        """Whether the range holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def contains(self, value: Scalar) -> bool:
        """Tell whether ``value`` lies in the range and on its steps."""
        if isinstance(value, (bool, str)) or not self.low <= value <= self.high:
            return False
        if self.is_int and value != int(value):
            return False
        return self.step is None or self._is_on_step(value, self.step)

    def _is_on_step(self, value: float, step: float) -> bool:
        steps = (value - self.low) / step
        # Both the division and the ends themselves are rounded.
        slack = 1e-9 * max(1.0, steps) + 2**-50 * max(abs(self.low), abs(self.high)) / step
        return math.isfinite(steps) and abs(steps - round(steps)) <= slack

    def count(self) -> int | None:
        """Count the values without listing them; None where there are infinitely many."""
        if self.is_int:
            return int(self.high - self.low) // int(self.step or 1) + 1
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def values(self) -> tuple[Scalar, ...] | None:
        """Return every value, or None where there are infinitely many."""
        if self.is_int:
            return tuple(range(int(self.low), int(self.high) + 1, int(self.step or 1)))
        count = self.count()
        if count is None or self.step is None:
            return None
        # Rounding may carry the last one beside high: 0.1 + 2 * 0.1 > 0.3.
        return (
            *(float(self.low + index * self.step) for index in range(count - 1)),
            float(self.high),
        )

    def spread(self, count: int) -> tuple[Scalar, ...]:
        """Return at most ``count`` values, ends included, even in the logarithm where log."""
        size = self.count()
        if size is not None and size <= count:
            return self.values() or ()
        fractions = [index / (count - 1) for index in range(count)] if count > 1 else [0.5]
        return tuple(dict.fromkeys(self._at(fraction) for fraction in fractions))

    def middle(self) -> Scalar:
        """Return the middle value (geometric where log)."""
        return self._at(0.5)

    def _at(self, fraction: float) -> Scalar:
        if fraction in (0.0, 1.0):
            end = self.high if fraction else self.low
            return end if self.is_int else float(end)
        if self.log:
            value = math.exp(_mix(math.log(self.low), math.log(self.high), fraction))
        else:
            value = _mix(self.low, self.high, fraction)
        if self.step is not None:
            value = self.low + round((value - self.low) / self.step) * self.step
        value = min(max(value, self.low), self.high)
        return round(value) if self.is_int else float(value)


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

    ``discrete`` counts the combinations of everything countable; where ``num_continuous`` > 0,
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
    def families(self) -> dict[str, dict[str, Fixed | Choice | Range | EachLayer]]:
        """Each family of the space with its own parameters, in the order written."""
        node = self.parameters["family"]
        if isinstance(node, Options):
            return dict(node.root)
        values = node.values() if isinstance(node, (Fixed, Choice)) else ()
        return {str(value): {} for value in values or ()}

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


def leaf_values(node: Fixed | Choice | Range | EachLayer) -> Iterator[Scalar]:
    """Yield the values that decide whether a node is admissible: all choices, or a range's ends."""
    if isinstance(node, EachLayer):
        yield from leaf_values(node.each_layer)
    elif isinstance(node, Range):
        yield from (node.low, node.high)
    else:
        yield from node.values() or ()


def _check_shared(name: str, node: Any) -> None:
    if name not in SHARED_PARAMETERS:
        hint = did_you_mean(name, [*SHARED_PARAMETERS, "family"])
        raise InputError(
            "is not a known parameter",
            where=(name,),
            remedy=f"A family's own parameters stand under that family. {hint}",
        )
    if isinstance(node, (Options, EachLayer)):
        raise InputError("must be a value, a list or a range: all families share it", where=(name,))
    for value in leaf_values(node):
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
    """Return the depths that a ``depth`` node can take; 1 where it isn't given, unknown here."""
    node = own.get("depth")
    values = (node.values() if isinstance(node, (Fixed, Choice, Range)) else None) or ()
    # What is no depth at all is for the family to refuse, not for the count.
    return tuple(value for value in values if isinstance(value, int)) or (1,)


def _mix(low: float, high: float, fraction: float) -> float:
    # Not low + (high - low) * fraction: the difference of two finite numbers may be infinite.
    return low * (1 - fraction) + high * fraction


def _same(left: Scalar, right: Scalar) -> bool:
    """Compare as a reader of YAML would: 1 is 1.0, and 1 is not true."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right
