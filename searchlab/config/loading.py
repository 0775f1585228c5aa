"""Reading spaces and studies from files, with ``--set`` overrides applied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from searchlab.config.documents import Document, read_yaml
from searchlab.config.plugins import resolve_plugins
from searchlab.config.space import SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.config.validation import validate_document
from searchlab.errors import InputError

__all__ = ["SpaceFile", "StudyFile", "load_space", "load_study"]


_PATHS = (("dataset", "root"), ("baselines", "weights"))


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
    """Read and check ``spaces/*.yaml``. Raises ``InputError``."""
    document = read_yaml(path)
    return SpaceFile(space=validate_document(SpaceSpec, document), document=document)


def load_study(
    path: Path,
    overrides: Iterable[str] = (),
    *,
    preset: str | None = None,
    plugins: Iterable[str] = (),
) -> StudyFile:
    """Read ``studies/*.yaml`` and the space it names, apply a preset and overrides, check.

    Relative paths to a space and to plugins are looked up beside the study file; ``plugins`` are
    more of them, relative to the current folder. None is imported here. Raises ``InputError``.
    """
    document = read_yaml(path)
    if preset is not None:
        document = document.with_preset(preset)
    overrides = list(overrides)
    # An override of the space itself decides which file is read; one below it changes its content.
    whole = [text for text in overrides if text.partition("=")[0].strip() == "space"]
    folder = Path() if whole else path.parent
    document = _embed_space(document.with_overrides(whole), folder=folder)
    document = document.with_overrides([text for text in overrides if text not in whole])
    for place in _PATHS:
        document = _make_absolute(document, place, path.parent)
    spec = _add_plugins(validate_document(StudySpec, document), document, path.parent, plugins)
    return StudyFile(spec=spec, document=document)


def _make_absolute(document: Document, place: tuple[str, str], folder: Path) -> Document:
    """Look a path up beside the study file, or from here where an option gave it.

    Recorded absolute, it means the same in the run folder.
    """
    section = document.data.get(place[0])
    value = section.get(place[1]) if isinstance(section, dict) else None
    if not isinstance(value, str):
        return document
    base = Path() if _is_set_by_option(document, place) else folder
    absolute = str((base / Path(value).expanduser()).absolute())
    assert isinstance(section, dict)
    data = {**document.data, place[0]: {**section, place[1]: absolute}}
    return replace(document, data=data)


def _is_set_by_option(document: Document, place: tuple[str, ...]) -> bool:
    """Tell whether ``--set`` put a value there or above; a preset's belongs to the file."""
    above = [document.overrides.get(place[:end], "") for end in range(1, len(place) + 1)]
    return any(text.startswith("--set ") for text in above)


def _add_plugins(
    spec: StudySpec, document: Document, folder: Path, more: Iterable[str]
) -> StudySpec:
    base = None if _is_set_by_option(document, ("plugins",)) else folder
    named = (*resolve_plugins(spec.plugins, base=base), *resolve_plugins(more))
    # Absolute, so that the study as run can be read from its run folder.
    return spec.model_copy(update={"plugins": tuple(dict.fromkeys(named))}) if named else spec


def _embed_space(document: Document, *, folder: Path) -> Document:
    space = document.data.get("space")
    if not isinstance(space, str) or not space.endswith((".yaml", ".yml")):
        return document
    path = folder / space
    if not path.is_file():
        raise InputError(
            "must name a file that exists",
            where=document.where(("space",)),
            found=space,
            remedy=f"Looked for {path}",
        )
    return document.with_embedded("space", read_yaml(path))
