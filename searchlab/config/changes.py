"""What a preset or ``--set`` changed in how a study trains and measures its models.

A run records the study file's own values beside its own (``StudySpec.changed``), so that its
figures are not taken for those of the study itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from searchlab.config.nodes import Fixed
from searchlab.config.space import SpaceSpec
from searchlab.config.validation import Spec

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec

__all__ = ["describe_changes", "describe_quick_look", "find_changes"]

# What decides where images lie and how fast they are trained on, not what comes out.
_WITHOUT_EFFECT = ("root", "skip_broken", "precision", "cuda_graphs")

# Less of these is less training or less measuring. An absent limit or size is all there is.
_AMOUNTS = ("epochs", "limit", "size", "folds", "search_folds")


def find_changes(own: StudySpec, now: StudySpec) -> dict[str, Any]:
    """Return ``own``'s values of the fields by which models of ``now`` differ from its models.

    Which models are trained makes no difference, and neither do the search and the resources.
    """
    before, after = _describe(own), _describe(now)
    places = dict.fromkeys((*before, *after))
    return {place: before.get(place) for place in places if before.get(place) != after.get(place)}


def describe_changes(spec: StudySpec) -> str:
    """Write what was changed: ``training.epochs is 3 instead of 20``; empty for nothing."""
    return ", ".join(
        f"{place} is {_write(now)} instead of {_write(own)}" for place, own, now in _changes(spec)
    )


def describe_quick_look(spec: StudySpec) -> str:
    """Write what was changed if any of it shortens a study that has published figures.

    It is then only a quick look, to be compared with no figure. Without published figures a
    shortened study is a study like any other.
    """
    is_less = any(_is_less(place, own, now) for place, own, now in _changes(spec))
    return describe_changes(spec) if spec.published is not None and is_less else ""


def _changes(spec: StudySpec) -> list[tuple[str, Any, Any]]:
    found = _describe(spec)
    values = [(place, own, found.get(place)) for place, own in spec.changed.items()]
    return [(place, own, now) for place, own, now in values if own != now]


def _describe(spec: StudySpec) -> dict[str, Any]:
    """Return the values that decide what a model of the study is like, by their places."""
    baselines = spec.baselines
    values = {
        **_flatten("dataset", spec.dataset),
        **_flatten("training", spec.training),
        **_flatten("validation", spec.validation),
        **_flatten("robustness", spec.robustness),
        "objective.metric": spec.primary.metric,
        "objective.at": spec.primary.at,
        "baselines.folds": baselines.folds,
        **_flatten("baselines.training", baselines.training, only_given=True),
    }
    for row in baselines.rows:
        place = f"baselines.rows.{row.name}"
        values |= _flatten(f"{place}.training", row.training, only_given=True)
        values |= {f"{place}.parameters.{name}": value for name, value in row.parameters.items()}
        values |= {} if row.folds is None else {f"{place}.folds": row.folds}
    if isinstance(spec.space, SpaceSpec):
        values |= _find_fixed(spec.space)
    return values


def _flatten(place: str, part: Spec | None, *, only_given: bool = False) -> dict[str, Any]:
    fields = {} if part is None else part.model_dump(mode="json", exclude_unset=only_given)
    return {f"{place}.{name}": fields[name] for name in fields if name not in _WITHOUT_EFFECT}


def _find_fixed(space: SpaceSpec) -> dict[str, Any]:
    """Return what the space gives every model, baselines too."""
    owners: Mapping[str, Mapping[str, object]] = {
        "space.parameters": space.shared,
        **{f"space.parameters.family.{name}": own for name, own in space.families.items()},
    }
    return {
        f"{owner}.{name}": node.root
        for owner, nodes in owners.items()
        for name, node in nodes.items()
        if isinstance(node, Fixed) and name not in _WITHOUT_EFFECT
    }


def _is_less(place: str, own: Any, now: Any) -> bool:
    name = place.rpartition(".")[2]
    if name not in _AMOUNTS:
        return False
    if name == "folds" and isinstance(now, str):
        return (own, now) == ("all", "search")
    return now is not None and (own is None or now < own)


def _write(value: Any) -> str:
    return "none" if value is None else str(value)
