"""StudySpace: what a study searches, baselines included as points of it (DESIGN 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from searchlab.config.baselines import BaselineRow
from searchlab.config.space import Choice, EachLayer, Fixed, Range, SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.config.trial import SCHEMES, Scalar
from searchlab.errors import InputError, Location
from searchlab.study.space.points import Choose, Point, walk
from searchlab.study.space.suggest import suggest

if TYPE_CHECKING:
    from optuna.trial import Trial

__all__ = ["SpecSpace", "StudySpace", "baseline_value", "describe_node"]


class StudySpace(Protocol):
    """What the ledger needs of a space."""

    def suggest(self, trial: Trial) -> Point:
        """Ask the trial for its parameters."""
        ...

    def baseline_point(self, row: BaselineRow) -> Point:
        """Return the point of a baseline, with every shared parameter set."""
        ...

    def family_points(self, choose: Choose) -> Iterator[Point]:
        """Yield the point of each family of which ``choose(name, node)`` says the values."""
        ...


class SpecSpace:
    """A space from a file, with the baselines' architectures added to its families.

    Each of them has a ``scheme`` of its own, so a baseline has all the shared parameters in the
    same distributions as its rivals. A finished trial without them would empty Optuna's joint
    search space without a word.
    """

    def __init__(self, spec: StudySpec) -> None:
        assert isinstance(spec.space, SpaceSpec)
        self._spec = spec
        self.effective = _with_baselines(spec.space, spec.baseline_rows, spec.baseline_grid)

    def suggest(self, trial: Trial) -> Point:
        """Ask the trial for its parameters."""
        return suggest(trial, self.effective)

    def family_points(self, choose: Choose) -> Iterator[Point]:
        """Yield the point of each family of which ``choose(name, node)`` says the values."""
        for family, own in self.effective.families.items():
            yield walk(self.effective.with_families({family: own}), choose)

    def baseline_point(self, row: BaselineRow) -> Point:
        """Return a baseline's point; InputError where its settings lie outside the space."""
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
                return _own_value(self._spec, row, own, node)
            return node.middle() if isinstance(node, Range) else node.root[0]

        point = walk(self.effective, choose)
        for own, value in unused.items():
            # Not asked for: it may still be what the space has fixed.
            if point.get(f"{row.architecture}.{own}") != value:
                searched = ", ".join(self.effective.families[row.architecture]) or "none"
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
        for name, node in self.effective.shared.items():
            if isinstance(node, Fixed) and name in asked:
                baseline_value(self._spec, row, name, Choice((node.root,)))


def baseline_value(spec: StudySpec, row: BaselineRow, name: str, node: Choice | Range) -> Scalar:
    """Return a baseline's value of a shared parameter, checked to lie in the space."""
    value: Scalar = getattr(spec.baseline_training(row), name)
    if not node.contains(value):
        where: Location = ("training", name)
        remedy = f"baselines.training.{name}"
        if name in row.training.model_fields_set:
            where = (*_place(spec, row), "training", name)
            remedy = f"another for {row.name}"
        elif name in spec.baselines.training.model_fields_set:
            where = ("baselines", "training", name)
        raise InputError(
            f"must lie in the space's {name} ({describe_node(node)})",
            where=where,
            found=value,
            remedy=f"Baselines are points of the space: set {remedy}, or widen the space's {name}",
        )
    return _as_searched(node, value)


def _place(spec: StudySpec, row: BaselineRow) -> Location:
    return ("baselines", "rows", spec.baselines.rows.index(row))


def _own_value(spec: StudySpec, row: BaselineRow, name: str, node: Choice | Range) -> Scalar:
    value = row.parameters[name]
    if not node.contains(value):
        raise InputError(
            f"must lie in the space's {name} ({describe_node(node)})",
            where=(*_place(spec, row), "parameters", name),
            found=value,
            remedy=f"Baselines are points of the space: set another for {row.name}, or widen the "
            f"space's {name}",
        )
    return _as_searched(node, value)


def _as_searched(node: Choice | Range, value: Scalar) -> Scalar:
    if isinstance(node, Choice):  # Optuna compares choices with their own types
        return next(item for item in node.root if item == value)
    return value


def describe_node(node: Choice | Range) -> str:
    """Say what a node holds: ``64, 128`` or ``0.0001 to 0.1``."""
    if isinstance(node, Range):
        step = f" by {node.step}" if node.step else ""
        return f"{node.low} to {node.high}{step}"
    return ", ".join(str(value) for value in node.root)


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
