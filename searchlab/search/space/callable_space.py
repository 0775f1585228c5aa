"""A Python function ``module:function(trial) -> dict`` in place of a space file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from searchlab.config.baselines import BaselineRow
from searchlab.config.nodes import Choice, Range
from searchlab.config.settings import SHARED_PARAMETERS, TrainingSettings
from searchlab.config.study import CallableRef, StudySpec
from searchlab.config.trial import SCHEMES, Scalar, Scheme
from searchlab.errors import InputError, did_you_mean
from searchlab.search.space.points import Choose, Point
from searchlab.search.space.study_space import NarrowedChoice, baseline_value

if TYPE_CHECKING:
    from optuna.trial import BaseTrial, FrozenTrial, Trial

__all__ = ["CallableSpace", "load_callable", "to_point"]

SpaceFunction = Callable[[Any], dict[str, Any]]


def load_callable(reference: str) -> SpaceFunction:
    """Import ``module:function``; the current folder counts, as in ``python -m``."""
    module_name, _, name = reference.partition(":")
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    try:
        function = getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"cannot be imported: {error}",
            where=f"space {reference}",
            remedy="Run from the folder that holds the module",
        ) from error
    except AttributeError:
        raise InputError(f"has no function {name}", where=f"space {reference}") from None
    return cast("SpaceFunction", function)


def to_point(reference: str, returned: object) -> Point:
    """Check what a space function returned and name it as a space file would.

    ``{"lr": 0.1, "family": "cnn", "cnn": {"depth": 2, "width": [16, 32]}}``: shared parameters,
    the family, and the family's own under its name, a list for one value per layer.
    """
    where = f"space {reference}"
    if not isinstance(returned, dict) or not isinstance(returned.get("family"), str):
        raise InputError(
            "must return a dict with a family, such as {'family': 'cnn', 'cnn': {'depth': 2}}",
            where=where,
            found=returned,
        )
    family = returned["family"]
    point: Point = {}
    for name, value in returned.items():
        if name == family:
            for own, setting in value.items():
                if isinstance(setting, (list, tuple)):
                    for layer, item in enumerate(setting):
                        point[f"{family}.layer{layer}.{own}"] = item
                else:
                    point[f"{family}.{own}"] = setting
        elif name == "family":
            point[name] = value
        elif name in SHARED_PARAMETERS:
            point[name] = _checked(reference, name, value)
        else:
            known = [*SHARED_PARAMETERS, "family", family]
            raise InputError(
                f"returned an unknown parameter {name!r}",
                where=where,
                remedy=did_you_mean(str(name), known),
            )
    return point


def _checked(reference: str, name: str, value: Scalar) -> Scalar:
    try:
        TrainingSettings.check_value(name, value)
    except InputError as error:
        raise error.at(f"space {reference}: {name}") from None
    return value


def _choose_first(_name: str, node: Choice | Range) -> Scalar:
    return node.ends()[0]


class _Proxy:
    """The trial that a space function sees.

    The family is settled before the function runs. If it is a baseline's, which the function does
    not know, the function still runs, but only its shared parameters are asked of Optuna. Any
    parameter that Optuna is not asked for has the value that ``choose`` picks.
    """

    def __init__(
        self,
        trial: BaseTrial | None,
        family: str | None,
        *,
        shared_only: bool = False,
        choose: Choose = _choose_first,
    ) -> None:
        self._trial = trial
        self._family = family
        self._shared_only = shared_only
        self._choose = choose
        self.nodes: dict[str, Choice | Range] = {}

    @property
    def number(self) -> int:
        return -1 if self._trial is None else self._trial.number

    def suggest_categorical(self, name: str, choices: Sequence[Scalar]) -> Scalar:
        node = Choice(tuple(choices))
        if name == "family" and self._family is not None:
            return self._family
        if self._skips(name, node):
            return self._choose(name, node)
        assert self._trial is not None
        return cast("Scalar", self._trial.suggest_categorical(name, node.root))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        node = _to_node(low, high, None if log else step, log)
        if self._skips(name, node):
            return int(self._choose(name, node))
        assert self._trial is not None
        return self._trial.suggest_int(name, low, high, step=step, log=log)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        node = _to_node(float(low), float(high), step, log)
        if self._skips(name, node):
            return float(self._choose(name, node))
        assert self._trial is not None
        return float(node.settle(self._trial.suggest_float(name, low, high, step=step, log=log)))

    def _skips(self, name: str, node: Choice | Range) -> bool:
        self.nodes[name] = node
        return self._trial is None or (self._shared_only and name not in SHARED_PARAMETERS)


def _to_node(low: float, high: float, step: float | None, log: bool) -> Choice | Range:
    # Optuna takes a range of one value, a space file does not.
    return Choice((low,)) if low == high else Range(low=low, high=high, step=step, log=log)


class CallableSpace:
    """A space that only its function knows. Run once without a trial to learn what it shares."""

    def __init__(self, spec: StudySpec) -> None:
        assert isinstance(spec.space, CallableRef)
        self._spec = spec
        self._reference = spec.space.root
        self._function = load_callable(self._reference)
        probe = _Proxy(None, None)
        point = self._call(probe)
        self._nodes = probe.nodes
        family = probe.nodes.get("family")
        self.families = list(family.values() or ()) if family else [point["family"]]
        self._baselines: dict[str, tuple[Scheme, ...]] = {}
        for row in spec.baseline_rows:
            wanted = {row.scheme, *self._baselines.get(row.architecture, ())}
            self._baselines[row.architecture] = tuple(s for s in SCHEMES if s in wanted)
        both = set(self.families) & set(self._baselines)
        if both:
            raise InputError(
                f"must leave the baselines' architectures to the study, offers {sorted(both)}",
                where=f"space {self._reference}",
                remedy="Drop them from the function's families or from baselines.architectures",
            )

        searched, recorded = tuple(self.families), (*self.families, *self._baselines)
        self.narrowed = (
            {"family": NarrowedChoice(searched=searched, recorded=recorded)}
            if self._baselines
            else {}
        )

    def suggest(self, trial: Trial | FrozenTrial) -> Point:
        """Ask the trial for its parameters; only a baseline is of an architecture of theirs."""
        family = str(trial.suggest_categorical("family", [*self.families, *self._baselines]))
        if family in self.families:
            return self._call(_Proxy(trial, family))
        proxy = _Proxy(trial, str(self.families[0]), shared_only=True)
        point = self._call(proxy)
        shared = {name: value for name, value in point.items() if name in SHARED_PARAMETERS}
        scheme = trial.suggest_categorical(f"{family}.scheme", self._baselines[family])
        return {**shared, "family": family, f"{family}.scheme": scheme}

    def family_points(self, choose: Choose) -> Iterator[Point]:
        """Yield the point of each family that ``choose`` picks, if the function takes it."""
        for family in self.families:
            with suppress(InputError):  # values that exclude each other
                yield self._call(_Proxy(None, str(family), choose=choose))

    def asked_points(self, choose: Choose) -> Iterator[Point]:
        """Yield them as a trial can be given them: by the names that it is asked for."""
        for family in self.families:
            proxy = _Proxy(None, str(family), choose=choose)
            with suppress(InputError):
                self._call(proxy)
                asked = {name: choose(name, node) for name, node in proxy.nodes.items()}
                yield {**asked, "family": family}

    def _call(self, proxy: _Proxy) -> Point:
        try:
            returned = self._function(proxy)
        except Exception as error:  # the user's code may raise anything
            raise InputError(
                f"raised {type(error).__name__}: {error}", where=f"space {self._reference}"
            ) from error
        return to_point(self._reference, returned)

    def baseline_point(self, row: BaselineRow) -> Point:
        """Return a baseline's point; InputError if its settings lie outside the space."""
        if row.parameters:
            raise InputError(
                "cannot go with a space function, which does not tell what it searches",
                where=("baselines", "rows", self._spec.baselines.rows.index(row), "parameters"),
                found=row.parameters,
                remedy="Use a space file, or name a preset as the architecture",
            )
        shared = {
            name: baseline_value(self._spec, row, name, node)
            for name, node in self._nodes.items()
            if name in SHARED_PARAMETERS
        }
        family = row.architecture
        return {**shared, "family": family, f"{family}.scheme": row.scheme}
