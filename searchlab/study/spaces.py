"""StudySpace: what a study searches, baselines included as points of it (DESIGN 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from searchlab.config.space import Choice, EachLayer, Fixed, Range, SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.config.trial import SCHEMES, Scalar, Scheme
from searchlab.errors import InputError
from searchlab.study.points import Point, walk
from searchlab.study.suggest import suggest

if TYPE_CHECKING:
    from optuna.trial import Trial

__all__ = ["SpecSpace", "StudySpace", "baseline_value", "describe_node"]


class StudySpace(Protocol):
    """What the ledger needs of a space."""

    def suggest(self, trial: Trial) -> Point:
        """Ask the trial for its parameters."""
        ...

    def baseline_point(self, architecture: str, scheme: Scheme) -> Point:
        """Return the point of a baseline, with every shared parameter set."""
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
        self.effective = _with_baselines(
            spec.space, spec.baselines.architectures, spec.baselines.schemes
        )

    def suggest(self, trial: Trial) -> Point:
        """Ask the trial for its parameters."""
        return suggest(trial, self.effective)

    def baseline_point(self, architecture: str, scheme: Scheme) -> Point:
        """Return a baseline's point; InputError where its settings lie outside the space."""

        def choose(name: str, node: Choice | Range) -> Scalar:
            if name == "family":
                return architecture
            if name == f"{architecture}.scheme":
                return scheme
            if "." not in name:
                return baseline_value(self._spec, name, node)
            return node.middle() if isinstance(node, Range) else node.root[0]

        return walk(self.effective, choose)


def baseline_value(spec: StudySpec, name: str, node: Choice | Range) -> Scalar:
    """Return a baseline's value of a shared parameter, checked to lie in the space."""
    value: Scalar = getattr(spec.baseline_training(), name)
    if not node.contains(value):
        own = name in spec.baselines.training.model_fields_set
        raise InputError(
            f"must lie in the space's {name} ({describe_node(node)})",
            where=f"baselines.training.{name}" if own else f"training.{name}",
            found=value,
            remedy="Baselines are points of the space: "
            f"set baselines.training.{name}, or widen the space's {name}",
        )
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
    space: SpaceSpec, architectures: Sequence[str], schemes: Sequence[Scheme]
) -> SpaceSpec:
    if not architectures:
        return space
    families: dict[str, dict[str, Fixed | Choice | Range | EachLayer]] = dict(space.families)
    for architecture in architectures:
        own = dict(families.get(architecture, {}))
        searched = own.get("scheme")
        known = searched.values() if isinstance(searched, (Fixed, Choice)) else None
        wanted = {*schemes, *(known or ())}
        own["scheme"] = Choice(tuple(scheme for scheme in SCHEMES if scheme in wanted))
        families[architecture] = own
    return space.with_families(families)
