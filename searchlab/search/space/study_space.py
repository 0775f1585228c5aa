"""StudySpace: what a study searches, and in what its trials are recorded.

The space is the user's: samplers are offered nothing else. Baselines are rows of the same study,
so their architectures are among the recorded choices of ``family``, in every trial alike: Optuna
refuses other choices under the same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from searchlab.config.baselines import BaselineRow
from searchlab.config.nodes import Choice, Fixed, Range
from searchlab.config.settings import OPTIMIZER_SETTINGS
from searchlab.config.space import EachLayer, SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.config.trial import SCHEMES, Scalar
from searchlab.errors import InputError, Location
from searchlab.records.optuna_internals import known_params
from searchlab.search.space.points import Choose, Point, walk

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

__all__ = ["NarrowedChoice", "SpecSpace", "StudySpace", "baseline_value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NarrowedChoice:
    """A parameter that is recorded with more choices than the search has."""

    searched: tuple[Scalar, ...]
    recorded: tuple[Scalar, ...]


class StudySpace(Protocol):
    """What the ledger and the samplers need of a space."""

    @property
    def narrowed(self) -> Mapping[str, NarrowedChoice]:
        """The parameters of which the search has fewer choices than are recorded."""
        ...

    def suggest(self, trial: Trial | FrozenTrial) -> Point:
        """Ask the trial for its parameters; one that has ended answers with what it had."""
        ...

    def baseline_point(self, row: BaselineRow) -> Point:
        """Return the point of a baseline, with every shared parameter set."""
        ...

    def family_points(self, choose: Choose) -> Iterator[Point]:
        """Yield the point of each searched family, with the values that ``choose`` picks."""
        ...

    def asked_points(self, choose: Choose) -> Iterator[Point]:
        """Yield them as a trial can be given them: by the names that it is asked for."""
        ...


class SpecSpace:
    """A space from a file. Its trials are recorded in it with the baselines' architectures added.

    Each architecture has a ``scheme`` of its own, so that a baseline has all the shared parameters
    in the same distributions as its rivals. A search trial has the scheme that the space says, or
    DT: if the space does not search it, it is in the point, but not among Optuna's parameters.
    """

    def __init__(self, spec: StudySpec) -> None:
        assert isinstance(spec.space, SpaceSpec)
        self._spec = spec
        self.searched = spec.space
        self.recorded = _with_baselines(spec.space, spec.baseline_rows, spec.baseline_grid)
        self.narrowed, self._implied = _compare(self.searched, self.recorded)

    def suggest(self, trial: Trial | FrozenTrial) -> Point:
        """Ask the trial for its parameters."""
        known = known_params(trial)

        def choose(name: str, node: Choice | Range) -> Scalar:
            if name in self._implied and name not in known:
                return self._implied[name]
            return node.suggest(trial, name)

        return walk(self.recorded, choose)

    def family_points(self, choose: Choose) -> Iterator[Point]:
        """Yield the point of each searched family, with the values that ``choose`` picks."""
        for family, own in self.searched.families.items():
            yield walk(self.searched.with_families({family: own}), choose)

    def asked_points(self, choose: Choose) -> Iterator[Point]:
        """Yield them as a trial can be given them: by the names that it is asked for."""
        yield from self.family_points(choose)

    def baseline_point(self, row: BaselineRow) -> Point:
        """Return a baseline's point; InputError if its settings lie outside the space."""
        unused = dict(row.parameters)

        def choose(name: str, node: Choice | Range) -> Scalar:
            if name == "family":
                return row.architecture
            if "." not in name:
                return baseline_value(self._spec, row, name, node)
            own = name.rpartition(".")[2]
            if own == "scheme":
                return row.scheme
            if own in row.parameters:
                unused.pop(own, None)
                return _require_in_space(
                    own,
                    node,
                    row.parameters[own],
                    where=(*_place(self._spec, row), "parameters", own),
                    setting=f"another for {row.name}",
                )
            return node.middle()

        point = walk(self.recorded, choose)
        for own, value in unused.items():
            # Not asked for: it may still be what the space has fixed.
            if point.get(f"{row.architecture}.{own}") != value:
                searched = ", ".join(self.recorded.families[row.architecture]) or "none"
                raise InputError(
                    f"must be a parameter that the space searches under {row.architecture}",
                    where=(*_place(self._spec, row), "parameters", own),
                    found=value,
                    remedy=f"There it has: {searched}. A preset needs none",
                )
        self._check_fixed(row)
        return point

    def _check_fixed(self, row: BaselineRow) -> None:
        """Refuse what a baseline asks of a parameter that the space holds at another value."""
        asked = {*self._spec.baselines.training.model_fields_set, *row.training.model_fields_set}
        for name, node in self.recorded.shared.items():
            if isinstance(node, Fixed) and name in asked:
                baseline_value(self._spec, row, name, Choice((node.root,)))


def baseline_value(spec: StudySpec, row: BaselineRow, name: str, node: Choice | Range) -> Scalar:
    """Return a baseline's value of a shared parameter, checked to lie in the space."""
    where: Location = ("training", name)
    setting = f"baselines.training.{name}"
    if name in row.training.model_fields_set:
        where = (*_place(spec, row), "training", name)
        setting = f"another for {row.name}"
    elif name in spec.baselines.training.model_fields_set:
        where = ("baselines", "training", name)
    settings = spec.baseline_training(row)
    if name in OPTIMIZER_SETTINGS:
        settings = spec.with_fixed_optimizer(settings)
    value: Scalar = getattr(settings, name)
    return _require_in_space(name, node, value, where=where, setting=setting)


def _place(spec: StudySpec, row: BaselineRow) -> Location:
    return ("baselines", "rows", spec.baselines.rows.index(row))


def _require_in_space(
    name: str, node: Choice | Range, value: Scalar, *, where: Location, setting: str
) -> Scalar:
    """Return a baseline's value in the type that the space has it in."""
    if not node.contains(value):
        raise InputError(
            f"must lie in the space's {name} ({node.describe()[1]})",
            where=where,
            found=value,
            remedy=f"Baselines are points of the space: set {setting}, or widen the space's {name}",
        )
    return node.settle(value)  # Optuna compares choices with their own types


def _compare(
    searched: SpaceSpec, recorded: SpaceSpec
) -> tuple[dict[str, NarrowedChoice], dict[str, Scalar]]:
    """Return what the search has fewer choices of than are recorded, and the schemes it implies."""
    narrowed: dict[str, NarrowedChoice] = {}
    implied: dict[str, Scalar] = {}
    pairs: dict[str, tuple[Choice, Choice | Fixed]] = {
        "family": (Choice(searched.family.values()), recorded.family)
    }
    for family, own in searched.families.items():
        node, wider = own.get("scheme", Fixed("DT")), recorded.families[family].get("scheme")
        assert not isinstance(node, (Range, EachLayer)), node
        if not isinstance(wider, Choice):
            continue
        pairs[f"{family}.scheme"] = (Choice(node.values()), wider)
        if isinstance(node, Fixed):
            implied[f"{family}.scheme"] = node.root
    for name, (node, wider) in pairs.items():
        if node.root != wider.values():
            narrowed[name] = NarrowedChoice(searched=node.root, recorded=wider.values())
    return narrowed, implied


def _with_baselines(
    space: SpaceSpec, rows: Sequence[BaselineRow], grid: Sequence[BaselineRow]
) -> SpaceSpec:
    """Add every baseline's architecture, with its schemes; a lone DT needs no parameter."""
    if not rows:
        return space
    families: dict[str, dict[str, Fixed | Choice | Range | EachLayer]] = dict(space.families)
    in_grid = {row.architecture for row in grid}
    for row in rows:
        own = families.setdefault(row.architecture, {})
        if row.scheme == "DT" and "scheme" not in own and row.architecture not in in_grid:
            continue
        searched = own.get("scheme")
        known = searched.values() if isinstance(searched, (Fixed, Choice)) else ()
        # A row of its own beside none by hand: without DT the search could not leave it.
        wanted = {row.scheme, *(known or ())} | (set() if row.architecture in in_grid else {"DT"})
        schemes = Choice(tuple(scheme for scheme in SCHEMES if scheme in wanted))
        families[row.architecture] = {**own, "scheme": schemes}
    return space.with_families(families)
