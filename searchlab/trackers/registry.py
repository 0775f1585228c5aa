"""The registry of trackers: a decorator registers a callback under the name that turns it on."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from searchlab.config.validation import Spec, to_input_error
from searchlab.errors import InputError, did_you_mean
from searchlab.study.callbacks import StudyCallback
from searchlab.trackers.background import BackgroundTracker

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec
    from searchlab.records.run_folder import RunFolder

__all__ = ["NoOptions", "make_trackers", "register_tracker"]

CallbackT = TypeVar("CallbackT", bound=StudyCallback)
MakeTracker = Callable[[Any, Path], StudyCallback]


class NoOptions(Spec):
    """The options of a tracker that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    make: MakeTracker
    options: type[Spec]
    packages: tuple[str, ...]
    install: str


_kinds: dict[str, _Kind] = {}


def register_tracker(
    name: str, *, options: type[Spec] = NoOptions, packages: tuple[str, ...] = (), install: str = ""
) -> Callable[[type[CallbackT]], type[CallbackT]]:
    """Register a class of callbacks as the tracker ``name``.

    A study that turns it on makes one with ``options``, as the study's ``trackers`` give them, and
    a folder of its own in the run folder, which is there when the study begins. ``packages`` are
    the modules that it imports then, and ``install`` is what pip is asked for if one is missing.
    """

    def register(tracker: type[CallbackT]) -> type[CallbackT]:
        wanted = install or " ".join(packages)
        _kinds[name] = _Kind(make=tracker, options=options, packages=packages, install=wanted)
        return tracker

    return register


def make_trackers(spec: StudySpec, run: RunFolder) -> list[StudyCallback]:
    """Return the trackers that a study turns on. They write nothing until its first trial begins.

    Raises InputError for one that is not known, not installed, or has a wrong option.
    """
    made: list[StudyCallback] = []
    for name, given in spec.trackers.items():
        if name not in _kinds:
            raise InputError(
                "must be a tracker", where="trackers", found=name, remedy=did_you_mean(name, _kinds)
            )
        kind, folder = _kinds[name], run.trackers / name
        _check_installed(name, kind)
        tracker = kind.make(_read_options(name, kind, given), folder)
        again = run.command("study", "resume")
        made.append(BackgroundTracker(name, tracker, folder=folder, resume_command=again))
    return made


def _check_installed(name: str, kind: _Kind) -> None:
    missing = [package for package in kind.packages if importlib.util.find_spec(package) is None]
    if missing:
        raise InputError(
            f"needs {' and '.join(missing)}, which {'are' if missing[1:] else 'is'} not installed",
            where=f"the tracker {name}",
            remedy=f"Install with: pip install {kind.install}",
        )


def _read_options(name: str, kind: _Kind, given: Mapping[str, Any]) -> Spec:
    try:
        return kind.options.model_validate(given)
    except ValidationError as failure:
        details = failure.errors(include_url=False)[0]
        error = to_input_error(details)
        below = error.where if isinstance(error.where, tuple) else ()
        raise error.at(("trackers", name, *details["loc"], *below)) from failure
