"""Reading spaces and studies from files, with ``--set`` overrides applied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from searchlab.config.documents import Document, read_yaml
from searchlab.config.space import SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.config.validation import validate_document
from searchlab.errors import InputError

__all__ = ["SpaceFile", "StudyFile", "load_space", "load_study"]


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


def load_study(path: Path, overrides: Iterable[str] = ()) -> StudyFile:
    """Read ``studies/*.yaml`` and the space it names, apply overrides, check.

    A relative path to a space is looked up beside the study file. Raises ``InputError``.
    """
    document = read_yaml(path)
    overrides = list(overrides)
    # An override of the space itself decides which file is read; one below it changes its content.
    whole = [text for text in overrides if text.partition("=")[0].strip() == "space"]
    folder = Path() if whole else path.parent
    document = _embed_space(document.with_overrides(whole), folder=folder)
    document = document.with_overrides([text for text in overrides if text not in whole])
    return StudyFile(spec=validate_document(StudySpec, document), document=document)


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
