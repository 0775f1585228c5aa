"""BaselineSpec: the baselines of a study, as a grid and as separate rows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from searchlab.config.published import SEARCH
from searchlab.config.references import check_trial_names
from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import SCHEMES, Scheme
from searchlab.config.validation import Spec, Value, to_tuple
from searchlab.errors import InputError

__all__ = ["BaselineRow", "BaselineSpec", "ComparedPair", "RowName"]


def _check_row_name(value: str) -> str:
    if not value.strip() or len(value) > 64 or not value.isprintable():
        raise InputError("must be 1 to 64 printable characters", found=value)
    if value == SEARCH:
        raise InputError(f"is reserved: {value!r} means the search's best trial")
    return value


RowName = Annotated[str, AfterValidator(_check_row_name)]

ComparedPair = Annotated[tuple[str, str], BeforeValidator(to_tuple)]
"""Two baselines: the first is expected to do better."""


class BaselineRow(Spec):
    """One baseline: an architecture, its own parameters, and how its training differs.

    Its values for searched parameters must be in the space, because all trials of a study are
    recorded with the same ranges and choices (docs/design.md, decision 4).
    """

    name: RowName = Field(description="its name in leaderboards")
    architecture: str = Field(description="a family or preset; see `searchlab space families`")
    scheme: Scheme = Field("DT", description="HF, HT or DT")
    parameters: dict[str, Value] = Field(
        default_factory=dict, description="values for the family's own parameters"
    )
    training: TrainingSettings = Field(
        default_factory=TrainingSettings, description="what differs from the other baselines"
    )
    folds: Literal["all", "search"] | None = Field(
        None, description="overrides baselines.folds for this baseline"
    )


_INHERITED = TrainingSettings()


class BaselineSpec(Spec):
    """The baselines: every architecture with every scheme, and separate rows."""

    architectures: Annotated[tuple[str, ...], BeforeValidator(to_tuple)] = Field(
        ("a1", "a2"), description="families of `searchlab space families`; empty for no grid"
    )
    schemes: Annotated[tuple[Scheme, ...], BeforeValidator(to_tuple)] = Field(
        SCHEMES,
        json_schema_extra={"minItems": 1},
        description="how each one's first convolution is initialised and whether it is trained",
    )
    rows: Annotated[tuple[BaselineRow, ...], BeforeValidator(to_tuple)] = Field(
        (), description="baselines outside the grid, each with a name"
    )
    only: Annotated[tuple[str, ...] | None, BeforeValidator(to_tuple)] = Field(
        None, description="run only the baselines with these names"
    )
    training: TrainingSettings = Field(
        default_factory=TrainingSettings, description="what differs from the study's training"
    )
    folds: Literal["all", "search"] = Field(
        "all", description="cross-validate on all folds, or train on the search folds only"
    )
    weights: str | None = Field(
        None, description="a folder of initial weights for the grid, from `searchlab weights save`"
    )

    @field_validator("schemes")
    @classmethod
    def _check_not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise InputError(
                "must name at least one scheme", remedy="Empty architectures for no baselines"
            )
        return value

    @field_validator("architectures", "schemes")
    @classmethod
    def _check_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for index, item in enumerate(value):
            if item in value[:index]:
                raise InputError(f"must name each once, got {item!r} twice")
        return value

    @model_validator(mode="after")
    def _check_names(self) -> BaselineSpec:
        names = self.names
        for index, name in enumerate(names):
            if name in names[:index]:
                raise InputError(f"must have distinct names, got {name!r} twice", where=("rows",))
        check_trial_names(self.only or (), names, "only")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all baselines, whether they run or not."""
        return tuple(row.name for row in (*self.grid, *self.rows))

    @property
    def grid(self) -> tuple[BaselineRow, ...]:
        """Every architecture with every scheme, named ``a2/DT``."""
        return tuple(
            # Not validated, because an architecture may be any text until the families are known.
            BaselineRow.model_construct(
                name=f"{architecture}/{scheme}",
                architecture=architecture,
                scheme=scheme,
                training=_INHERITED,
            )
            for architecture in self.architectures
            for scheme in self.schemes
        )
