"""Reading spaces and studies from files, with ``--set`` overrides applied."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from searchlab.config.changes import find_changes
from searchlab.config.documents import Document, read_yaml
from searchlab.config.earlier_study import name_earlier_defaults
from searchlab.config.plugins import resolve_plugins
from searchlab.config.relative_paths import anchor_space, anchor_study, is_set_by_option
from searchlab.config.space import SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.config.text_files import near_paths
from searchlab.config.validation import validate_document
from searchlab.errors import InputError

__all__ = [
    "SpaceFile",
    "StudyFile",
    "load_recorded_study",
    "load_space",
    "load_study",
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
    """Read and check ``spaces/*.yaml``. Raises ``InputError``.

    Paths of weights files start at the space file's folder.
    """
    document = anchor_space(read_yaml(path), path.parent)
    return SpaceFile(space=validate_document(SpaceSpec, document), document=document)


def load_study(
    path: Path,
    overrides: Iterable[str] = (),
    *,
    preset: str | None = None,
    plugins: Iterable[str] = (),
) -> StudyFile:
    """Read ``studies/*.yaml`` and the space it names, apply a preset and overrides, check.

    Relative paths start at the folder of their file; those of overrides, and of ``plugins``, which
    are added to the study's own, start at the current folder. This imports no plugin. Raises
    ``InputError``.
    """
    return _load(read_yaml(path), overrides, folder=path.parent, preset=preset, plugins=plugins)


def study_from_data(
    data: dict[str, Any],
    overrides: Iterable[str] = (),
    *,
    preset: str | None = None,
    plugins: Iterable[str] = (),
) -> StudyFile:
    """Return the study of plain data, as ``load_study`` does of a file in the current folder."""
    document = Document(source="study", data=data)
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
    file = make_study(document, overrides, folder=folder, plugins=plugins)
    if document is own and not overrides:
        return file
    return replace(file, spec=_note_changes(file.spec, own, folder=folder))


def _note_changes(spec: StudySpec, own: Document, *, folder: Path) -> StudySpec:
    try:
        before = make_study(own, folder=folder).spec
    except InputError:  # it is no study without them, so there is nothing that they changed
        return spec
    changed = {**find_changes(before, spec), **before.changed}
    return spec.model_copy(update={"changed": changed}) if changed else spec


def load_recorded_study(
    path: Path, overrides: Iterable[str] = (), *, plugins: Iterable[str] = ()
) -> StudyFile:
    """Read a study that searchlab recorded, now or earlier, as ``load_study`` does."""
    document = read_yaml(path)
    document = replace(document, data=name_earlier_defaults(document.data))
    return make_study(document, overrides, folder=path.parent, plugins=plugins)


def make_study(
    document: Document,
    overrides: Iterable[str] = (),
    *,
    folder: Path,
    option_folder: Path | None = None,
    plugins: Iterable[str] = (),
) -> StudyFile:
    """Return the study that a document describes, as ``load_study`` does.

    Relative paths start at ``folder``, which may not exist yet; those of overrides start at
    ``option_folder``, by default the current folder.
    """
    option_folder = option_folder or Path()
    overrides = list(overrides)
    # An override of the space decides which file is read; one below it changes the content.
    whole = [text for text in overrides if text.partition("=")[0].strip() == "space"]
    document = document.with_overrides(whole)
    base = option_folder if is_set_by_option(document, ("space",)) else folder
    document = _embed_space(document, folder=base)
    document = document.with_overrides([text for text in overrides if text not in whole])
    document = anchor_study(document, folder, option_folder)
    base = option_folder if is_set_by_option(document, ("plugins",)) else folder
    spec = _add_plugins(validate_document(StudySpec, document), base, plugins)
    return StudyFile(spec=spec, document=document)


def _add_plugins(spec: StudySpec, folder: Path, more: Iterable[str]) -> StudySpec:
    named = (*resolve_plugins(spec.plugins, base=folder), *resolve_plugins(more))
    # Absolute, so that the recorded study can be read from its run folder.
    return spec.model_copy(update={"plugins": tuple(dict.fromkeys(named))}) if named else spec


def _embed_space(document: Document, *, folder: Path) -> Document:
    space = document.data.get("space")
    if not isinstance(space, str) or not space.endswith((".yaml", ".yml")):
        return document
    path = folder / space
    if not folder.is_dir():  # the folder does not exist yet, so .. below it would fail
        path = Path(os.path.normpath(path))
    if not os.path.isfile(path):  # noqa: PTH113 (Path's own raises if the name is too long)
        raise InputError(
            "must name an existing file",
            where=document.where(("space",)),
            found=space,
            remedy=". ".join(filter(None, (f"Looked for {path}", near_paths(path)))),
        )
    return document.with_embedded("space", anchor_space(read_yaml(path), path.parent))
