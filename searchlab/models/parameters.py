"""The base class of a family's parameters: one pydantic class per family.

A space lists candidate values long before a model is built, so the class can also check one value
at a time: ``CnnParameters.validate_value("depth", 0)`` says which rule the value breaks.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar, cast, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)

from searchlab.config.validation import to_input_error
from searchlab.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FamilyParameters", "PerLayer", "each_layer"]

T = TypeVar("T")


class _PerLayerMarker:
    """Marks a field that takes one value for all layers or a tuple with one per layer."""


PerLayer = Annotated[T | tuple[T, ...], _PerLayerMarker()]

_CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class FamilyParameters(BaseModel):
    """Base of every family's parameters: frozen and strict (an int is not a float or a bool).

    Each field needs a default and a description, its help text. A class with ``PerLayer`` fields
    needs an int field ``depth``, and a tuple must have exactly ``depth`` values. A default that is
    a tuple is cut to ``depth`` or extended with its last value.
    """

    model_config = _CONFIG

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a badly declared class as soon as it is declared."""
        super().__pydantic_init_subclass__(**kwargs)
        for name, info in cls.model_fields.items():
            if info.is_required() or not info.description:
                raise TypeError(f"{cls.__name__}.{name} needs a default and a description")
        if cls.per_layer_fields() and "depth" not in cls.model_fields:
            raise TypeError(f"{cls.__name__} has PerLayer fields, so it needs a field depth")

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """Return the names of the parameters, in the order of declaration."""
        return tuple(cls.model_fields)

    @classmethod
    def per_layer_fields(cls) -> tuple[str, ...]:
        """Return the names of the parameters that may have one value per layer."""
        return tuple(
            name
            for name, info in cls.model_fields.items()
            if any(isinstance(item, _PerLayerMarker) for item in info.metadata)
        )

    @classmethod
    def default_value(cls, field: str) -> Any:
        """Return the default of ``field``; InputError if there is no such field."""
        cls._require_field(field)
        return cls.model_fields[field].get_default(call_default_factory=True)

    @classmethod
    def help_text(cls, field: str) -> str:
        """Return the one-line description of ``field``; InputError if there is no such field."""
        cls._require_field(field)
        return cls.model_fields[field].description or ""

    @classmethod
    def value_schema(cls, field: str) -> dict[str, Any]:
        """Return the JSON Schema of one value of ``field`` (of one layer, for a PerLayer field)."""
        cls._require_field(field)
        return _value_adapter(cls, field).json_schema()

    @classmethod
    def with_defaults(cls, name: str, doc: str, defaults: Mapping[str, object]) -> type[Self]:
        """Return a subclass called ``name``; InputError if a default breaks a rule."""
        cls.parse(defaults, where=name)
        fields: dict[str, Any] = {}
        for field, value in defaults.items():
            info = cls.model_fields[field]
            kept = [*info.metadata, Field(description=info.description)]
            fields[field] = (Annotated[info.annotation, *kept], value)
        return create_model(name, __base__=cls, __doc__=doc, **fields)

    @classmethod
    def validate_value(cls, field: str, value: object) -> None:
        """Check one value of ``field`` (of one layer, for a PerLayer field).

        Raises InputError without a location; the caller adds it: ``error.at(where)``.
        """
        cls._require_field(field)
        try:
            _value_adapter(cls, field).validate_python(value)
        except ValidationError as error:
            raise _explain(error, value, cls.value_schema(field)) from None

    @classmethod
    def parse(cls, values: Mapping[str, object], *, where: str) -> Self:
        """Build the parameters from ``values``; InputError located at ``where`` if one is wrong."""
        for name, value in values.items():
            if name not in cls.model_fields:
                raise InputError(
                    "is not a parameter of this family",
                    where=f"{where}.{name}",
                    remedy=did_you_mean(name, cls.model_fields),
                )
            per_layer = name in cls.per_layer_fields() and isinstance(value, tuple)
            for item in cast("tuple[object, ...]", value) if per_layer else (value,):
                try:
                    cls.validate_value(name, item)
                except InputError as error:
                    raise error.at(f"{where}.{name}") from None
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:  # each value is valid, so this is a rule about several
            raise to_input_error(error.errors()[0]).at(f"{where}:") from None

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        for name in self.per_layer_fields():
            value, depth = getattr(self, name), self.__dict__["depth"]
            if not isinstance(value, tuple) or len(value) == depth:
                continue
            if name not in self.model_fields_set:
                self.__dict__[name] = (value + value[-1:] * depth)[:depth]  # the model is frozen
            else:
                raise InputError(
                    f"{name} must have one value, or one for each of the {depth} layers, "
                    f"got {len(value)} values"
                )
        return self

    @classmethod
    def _require_field(cls, field: str) -> None:
        if field not in cls.model_fields:
            raise InputError(
                "is not a parameter of this family",
                found=field,
                remedy=did_you_mean(field, cls.model_fields),
            )


def each_layer(value: T | tuple[T, ...], depth: int) -> tuple[T, ...]:
    """Spread a PerLayer value over ``depth`` layers."""
    values = value if isinstance(value, tuple) else (value,) * depth
    assert len(values) == depth, f"{len(values)} values for {depth} layers"
    return values


@cache
def _value_adapter(parameters: type[FamilyParameters], field: str) -> TypeAdapter[Any]:
    info = parameters.model_fields[field]
    if field in parameters.per_layer_fields():
        annotation = get_args(info.annotation)[0]  # of T | tuple[T, ...]
    elif info.metadata:
        annotation = Annotated[info.annotation, *info.metadata]
    else:
        annotation = info.annotation
    return TypeAdapter(annotation, config=_CONFIG)


def _explain(error: ValidationError, value: object, schema: dict[str, Any]) -> InputError:
    choices = schema.get("enum", [])
    if isinstance(value, str) and all(isinstance(choice, str) for choice in choices) and choices:
        remedy = did_you_mean(value, choices)
        return InputError("is not a known choice", found=value, remedy=remedy)
    broken = to_input_error(error.errors()[0])
    return InputError(broken.rule, found=value, remedy=broken.remedy)
