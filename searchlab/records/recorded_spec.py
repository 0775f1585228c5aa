"""The study as its storage recorded it when it began, against the file in its run folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from searchlab.config.earlier_study import name_earlier_defaults
from searchlab.config.flat_study import flatten_study
from searchlab.config.study import StudySpec
from searchlab.errors import InputError

__all__ = [
    "RESUMABLE",
    "check_joinable",
    "check_resumable",
    "check_unchanged",
    "list_differences",
    "read_recorded",
    "shared_part",
]

# Each driver that joins a study has its own. They decide how fast it runs and who is told,
# not what it finds.
_OWN_SECTIONS = ("name", "resources", "trackers", "on_end")

RESUMABLE = (
    "search.trials",
    "search.timeout",
    "search.until",
    "search.max_failures_in_row",
    "confirm.top",
    "confirm.repeats",
    "report",
    "resources",
    "trackers",
    "on_end",
)
"""What a resume may change: it gives a study more time, trials or workers. Any other change would
make the new trials incomparable with the earlier ones."""


def check_resumable(overrides: Iterable[str]) -> None:
    """Raise InputError if an override, such as ``search.trials=60``, is not one for a resume."""
    for text in overrides:
        if not text.strip().startswith(RESUMABLE):
            raise InputError(
                "can change only " + ", ".join(RESUMABLE),
                where="--set on resume",
                found=text,
                remedy="Any other change makes another study: run it under another name",
            )


# What changes no trial: the images are known by their fingerprint, plugins by their digest, and
# the rest is computed from finished trials.
_WITHOUT_EFFECT = (
    "name",
    "changed",
    "dataset.root",
    "plugins",
    "presets",
    "ensembles",
    "correlations",
    "comparisons",
    "published",
    "report",
    "confirm.margin",
)
_MAX_NAMED = 6


def shared_part(spec: StudySpec) -> dict[str, Any]:
    """Return what all drivers of a study have in common, as plain data."""
    data = spec.to_data()
    return {name: data[name] for name in sorted(data) if name not in _OWN_SECTIONS}


def read_recorded(text: object, *, name: str) -> StudySpec | None:
    """Return the study of a record under ``name``; None if this version cannot read it."""
    if not isinstance(text, str):  # an import's record may be anything
        return None
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            return None
        return StudySpec.model_validate({**name_earlier_defaults(data), "name": name})
    except (ValidationError, ValueError, RecursionError):
        return None


def check_unchanged(text: object, spec: StudySpec, file: Path) -> None:
    """Raise InputError if the study of a run's ``file`` is not the one that was recorded.

    ``text`` is the record; one that this version cannot read is compared with nothing.
    """
    if differing := list_differences(text, spec):
        raise InputError(
            f"does not describe the study that was begun here:\n{differing}\nTo run the study of "
            "the file, copy the file and run it with --set name=... To go on with the one that was "
            "begun, restore the file, or delete it: searchlab study resume then writes it again",
            where=str(file),
        )


def list_differences(text: object, spec: StudySpec) -> str:
    """Return a line for each field in which a study's file and its record differ; "" for none.

    Fields that a resume may change, and those that change no trial, may differ.
    """
    recorded = read_recorded(text, name=spec.name)
    if recorded is None:
        return ""
    return _list(recorded, spec, "when the study began", "in the file", free=RESUMABLE)


def check_joinable(text: object, spec: StudySpec) -> None:
    """Raise InputError if a driver's study is not the one that others run and recorded.

    Drivers may differ in their resources, and in fields that change no trial.
    """
    where = f"the study {spec.name}"
    remedy = "Join it with the same study file, or run yours under another name with --set name=..."
    recorded = read_recorded(text, name=spec.name)
    if recorded is None:
        rule = "has a record that this version of searchlab cannot read"
        raise InputError(rule, where=where, remedy=remedy)
    if differing := _list(recorded, spec, "there", "here", free=_OWN_SECTIONS):
        rule = f"is already running with other settings:\n{differing}\n{remedy}"
        raise InputError(rule, where=where)


def _list(
    recorded: StudySpec, spec: StudySpec, there: str, here: str, *, free: tuple[str, ...]
) -> str:
    known, found = flatten_study(recorded), flatten_study(spec)
    free = (*free, *_WITHOUT_EFFECT)
    lines = [
        f"  {name}: {_show(known, name)} {there}, {_show(found, name)} {here}"
        for name in sorted({*known, *found})
        if known.get(name, ...) != found.get(name, ...) and not _is_below(name, free)
    ]
    more = len(lines) - _MAX_NAMED
    return "\n".join(lines[:_MAX_NAMED] + ([f"  and {more} more"] if more > 0 else []))


def _is_below(name: str, fields: tuple[str, ...]) -> bool:
    return any(name == field or name.startswith(f"{field}.") for field in fields)


def _show(data: dict[str, object], name: str) -> str:
    return json.dumps(data[name]) if name in data else "nothing"
