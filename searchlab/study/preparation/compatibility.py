"""Checks, before a study begins, that its models suit its images.

A space is too large to build all of it. So the check builds the baselines, each family's reference
point, and that point with one and then two of the family's own parameters changed. It finds values
that fail alone or beside one other, and weights that cannot be loaded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations, islice, product

from searchlab.config.baselines import BaselineRow
from searchlab.config.loading import StudyFile
from searchlab.config.nodes import Choice, Range
from searchlab.config.space import EachLayer, Options, SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.config.trial import ModelConfig, Scalar
from searchlab.data import DatasetFacts
from searchlab.errors import InputError, Location
from searchlab.search.space.points import Point, reference_point, walk
from searchlab.search.space.study_space import SpecSpace
from searchlab.study.plan import StudyPlan
from searchlab.study.trial_config import model_at

__all__ = ["check_models_fit"]

# A family of twelve parameters with three values each has 24 changes of one and 264 of two.
_MAX_CHANGES = 300
# After that, networks are only built, which takes milliseconds; no images pass through them.
_MAX_SECONDS = 3.0

Change = Mapping[str, Scalar]
"""Values of a family's own parameters that differ from the reference point."""


def check_models_fit(file: StudyFile, plan: StudyPlan, facts: DatasetFacts) -> None:
    """Raise InputError, at the line of the parameter, for a model that the images do not suit."""
    import torch

    from searchlab.training.process import repeatable

    check = _Check(file, facts)
    space = plan.space
    # With a worker's threads: for two small images, more of them mostly wait for each other.
    with repeatable(max(1, int(file.spec.resources.cpus)), torch.device("cpu")):
        for row, planned in zip(file.spec.baseline_rows, plan.baselines, strict=True):
            model = model_at(planned.point)
            check.require(model, _baseline_place(file.spec, row))
        if isinstance(space, SpecSpace):
            families = [_FamilySpace(name, space.searched) for name in space.searched.families]
            for family in families:
                check.require_reference(family)
            for num_changed in (1, 2):
                for family in families:
                    check.require_changes(family, num_changed)


class _FamilySpace:
    """One family's part of a space."""

    def __init__(self, name: str, space: SpaceSpec) -> None:
        self.own = space.families[name]
        self._space = space.with_families({name: self.own})
        self._name = name
        self._reference = reference_point(self._space, {})

    def model(self, change: Change) -> ModelConfig:
        """Return the reference point's model with other values of some parameters."""

        def choose(name: str, node: Choice | Range) -> Scalar:
            own = name.rpartition(".")[2]
            if "." in name and own in change:
                return change[own]
            if name in self._reference:
                return self._reference[name]
            return node.middle()  # a further layer

        point: Point = walk(self._space, choose)
        return model_at(point)

    def changes(self, num_changed: int) -> Iterator[Change]:
        """Yield every change of ``num_changed`` parameters to other choices or ends of ranges."""
        for names in combinations(self.own, num_changed):
            for values in product(*(self._other_values(name) for name in names)):
                yield dict(zip(names, values, strict=True))

    def _other_values(self, name: str) -> list[Scalar]:
        node = self.own[name]
        inner = node.each_layer if isinstance(node, EachLayer) else node
        values = inner.spread(2)
        layer = f"{self._name}.layer0.{name}"
        reference = self._reference.get(f"{self._name}.{name}", self._reference.get(layer))
        return [value for value in values if value != reference]

    def place(self, parameter: str | None, spec: StudySpec) -> Location:
        """Return the place of a parameter in the study, or of the family for None."""
        above: Location = ("space", "parameters", "family")
        nested = isinstance(spec.space, SpaceSpec) and isinstance(
            spec.space.parameters["family"], Options
        )
        if not nested:
            return above
        return (*above, self._name) if parameter is None else (*above, self._name, parameter)


class _Check:
    """Checks models against one dataset, each once."""

    def __init__(self, file: StudyFile, facts: DatasetFacts) -> None:
        self._file = file
        self._facts = facts
        self._done: set[str] = set()
        self._deadline = time.monotonic() + _MAX_SECONDS

    def require(self, model: ModelConfig, place: Location) -> None:
        """Raise InputError at ``place`` unless the model suits the images."""
        if (error := self._find_fault(model)) is not None:
            shape = "x".join(map(str, self._facts.image_shape))
            raise InputError(
                f"does not suit dataset {self._file.spec.dataset.name} ({shape}): {error}",
                where=self._file.document.where(place),
            ) from error

    def require_reference(self, family: _FamilySpace) -> None:
        """Raise as ``require`` does, if possible at the one parameter whose default would suit."""
        model = family.model({})
        if self._find_fault(model) is None:
            return
        for parameter in family.own:
            chosen = model.scheme if parameter == "scheme" else model.parameters[parameter]
            if self._find_fault(_without(model, parameter)) is None:
                raise self._refuse(family, {parameter: chosen}, model)
        self.require(model, family.place(None, self._file.spec))

    def require_changes(self, family: _FamilySpace, num_changed: int) -> None:
        """Raise InputError at the last changed parameter of a model that does not suit."""
        for change in islice(family.changes(num_changed), _MAX_CHANGES):
            model = family.model(change)
            in_time = time.monotonic() < self._deadline
            if self._find_fault(model, pass_images=in_time) is not None:
                raise self._refuse(family, change, model)

    def _refuse(
        self, family: _FamilySpace, change: Mapping[str, object], model: ModelConfig
    ) -> InputError:
        *others, (name, value) = change.items()
        beside = "".join(f" beside {other} {found!r}" for other, found in others)
        shape = "x".join(map(str, self._facts.image_shape))
        error = self._find_fault(model)
        return InputError(
            f"cannot be {value!r}{beside} for dataset {self._file.spec.dataset.name} ({shape}): "
            f"{error}",
            where=self._file.document.where(family.place(name, self._file.spec)),
        )

    def _find_fault(self, model: ModelConfig, *, pass_images: bool = True) -> InputError | None:
        key = repr((model.family, sorted(model.parameters.items()), model.scheme))
        if key in self._done:
            return None
        from searchlab.models.build import check_model  # torch

        try:
            check_model(
                model,
                image_shape=self._facts.image_shape,
                num_classes=self._facts.num_classes,
                pass_images=pass_images,
            )
        except InputError as error:
            return error
        self._done.add(key)
        return None


def _without(model: ModelConfig, parameter: str) -> ModelConfig:
    """Return the model with the family's default of a parameter."""
    if parameter == "scheme":
        return replace(model, scheme="DT")
    left = {name: value for name, value in model.parameters.items() if name != parameter}
    return replace(model, parameters=left)


def _baseline_place(spec: StudySpec, row: BaselineRow) -> Location:
    if row in spec.baselines.rows:
        return ("baselines", "rows", spec.baselines.rows.index(row))
    return ("baselines", "architectures")
