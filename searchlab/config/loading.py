"""Reading spaces and studies from files, with ``--set`` overrides applied."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from searchlab.config.changes import find_changes
from searchlab.config.composition import embed_space, extend_document, read_extended, read_space
from searchlab.config.documents import Document, read_yaml
from searchlab.config.earlier_study import name_earlier_defaults
from searchlab.config.plugins import resolve_plugins
from searchlab.config.relative_paths import anchor_study, is_set_by_option
from searchlab.config.space import SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.config.validation import validate_document
from searchlab.config.variables import expand_variables
from searchlab.errors import InputError

__all__ = [
    "SpaceFile",
    "StudyFile",
    "load_recorded_study",
    "load_space",
    "load_study",
    "make_recorded_study",
    "make_study",
    "study_from_data",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceFile:
    """A space and the document it came from, for messages that point into it."""

    space: SpaceSpec
    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFile:
    """A study and the document it came from, for messages that point into it."""

    spec: StudySpec
    document: Document


def load_space(path: Path) -> SpaceFile:
    """Read and check ``spaces/*.yaml``, with what it extends. Raises ``InputError``.

    Paths of weights files start at the folder of the file that names them.
    """
    document = read_space(path, os.environ)
    return SpaceFile(space=validate_document(SpaceSpec, document), document=document)


def load_study(
    path: Path,
    overrides: Iterable[str] = (),
    *,
    preset: str | None = None,
    plugins: Iterable[str] = (),
) -> StudyFile:
    """Read ``studies/*.yaml``, what it extends and its space, apply preset and overrides, check.

    Relative paths start at the folder of their file; those of overrides, and of ``plugins``, which
    are added to the study's own, start at the current folder. This imports no plugin. Raises
    ``InputError``.
    """
    document = read_extended(path, os.environ)
    return _load(document, overrides, folder=path.parent, preset=preset, plugins=plugins)


def study_from_data(
    data: dict[str, Any],
    overrides: Iterable[str] = (),
    *,
    preset: str | None = None,
    plugins: Iterable[str] = (),
) -> StudyFile:
    """Return the study of plain data, as ``load_study`` does of a file in the current folder."""
    document = extend_document(Document(source="study", data=data), Path(), os.environ)
    return _load(document, overrides, folder=Path(), preset=preset, plugins=plugins)


def _load(
    document: Document,
    overrides: Iterable[str],
    *,
    folder: Path,
    preset: str | None,
    plugins: Iterable[str],
) -> StudyFile:
    own = document
    if preset is not None:
        document = document.with_preset(preset)
        if "changed" in document.data["presets"][preset]:
            own = document
    overrides = list(overrides)
    file = make_study(document, overrides, folder=folder, plugins=plugins, environment=os.environ)
    if document is own and not overrides:
        return file
    return replace(file, spec=_note_changes(file.spec, own, folder=folder))


def _note_changes(spec: StudySpec, own: Document, *, folder: Path) -> StudySpec:
    try:
        before = make_study(own, folder=folder, environment=os.environ).spec
    except InputError:  # it is no study without them, so there is nothing that they changed
        return spec
    changed = {**find_changes(before, spec), **before.changed}
    return spec.model_copy(update={"changed": changed}) if changed else spec


def load_recorded_study(
    path: Path, overrides: Iterable[str] = (), *, plugins: Iterable[str] = ()
) -> StudyFile:
    """Read a study that searchlab recorded, now or earlier, as ``load_study`` does."""
    return make_recorded_study(read_yaml(path), overrides, folder=path.parent, plugins=plugins)


def make_recorded_study(
    document: Document,
    overrides: Iterable[str] = (),
    *,
    folder: Path,
    plugins: Iterable[str] = (),
) -> StudyFile:
    """Return the study that a document describes which searchlab recorded, now or earlier."""
    document = replace(document, data=name_earlier_defaults(document.data))
    return make_study(document, overrides, folder=folder, plugins=plugins)


def make_study(
    document: Document,
    overrides: Iterable[str] = (),
    *,
    folder: Path,
    option_folder: Path | None = None,
    plugins: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> StudyFile:
    """Return the study that a document describes, as ``load_study`` does.

    Relative paths start at ``folder``, which may not exist yet; those of overrides start at
    ``option_folder``, by default the current folder. ``environment`` has the variables that paths
    may name. A record has none: its paths are final.
    """
    option_folder = option_folder or Path()
    overrides = list(overrides)
    # An override of the space decides which file is read; one below it changes the content.
    whole = [text for text in overrides if text.partition("=")[0].strip() == "space"]
    document = document.with_overrides(whole)
    document = embed_space(
        document, folder=folder, option_folder=option_folder, environment=environment
    )
    document = document.with_overrides([text for text in overrides if text not in whole])
    document = anchor_study(document, folder, option_folder, environment)
    spec = validate_document(StudySpec, document)
    own = _find_plugins(spec, document, folder, option_folder, environment)
    named = tuple(dict.fromkeys((*own, *resolve_plugins(plugins))))
    spec = spec.model_copy(update={"plugins": named}) if named else spec
    return StudyFile(spec=spec, document=document)


def _find_plugins(
    spec: StudySpec,
    document: Document,
    folder: Path,
    option_folder: Path,
    environment: Mapping[str, str] | None,
) -> tuple[str, ...]:
    """Return a study's own plugins, absolute: the record is read from the run folder."""
    place = ("plugins",)
    start = document.folder_of(place, folder)
    base = option_folder if is_set_by_option(document, place) else start
    given = spec.plugins
    if environment is not None:
        where = document.where(place)
        given = tuple(expand_variables(one, environment, where=where) for one in given)
    return resolve_plugins(given, base=base)
