"""Documents made of several files: what ``extends`` names, and the space that a study names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from searchlab.config.documents import Document, is_range, read_yaml
from searchlab.config.relative_paths import anchor_space, expand_user, is_set_by_option
from searchlab.config.text_files import near_paths
from searchlab.config.variables import expand_variables
from searchlab.errors import InputError, Location

__all__ = ["EXTENDS", "embed_space", "extend_document", "read_extended", "read_space"]

EXTENDS = "extends"
"""The field by which a study or space file names the one that it is based on."""

# What a file says of itself alone. Published figures are those of the settings beside them.
_NOT_INHERITED = (EXTENDS, "name", "published", "changed")


def read_extended(path: Path, environment: Mapping[str, str]) -> Document:
    """Read a study or space file with all that it extends. Raises ``InputError``."""
    return extend_document(read_yaml(path), path.parent, environment, chain=(path,))


def read_space(path: Path, environment: Mapping[str, str]) -> Document:
    """Read a space file with all that it extends; the paths of weights files become absolute."""
    return anchor_space(read_extended(path, environment), path.parent, environment)


def extend_document(
    document: Document,
    folder: Path,
    environment: Mapping[str, str],
    *,
    chain: tuple[Path, ...] = (),
) -> Document:
    """Return a document with what the file has that it extends, and so on along the chain.

    Mappings are merged; anything else, a range included, replaces what it extends. A relative path
    starts at ``folder``. ``chain`` has the files read so far, the last of which is this document's.
    Raises ``InputError``, also for a file that extends itself.
    """
    if EXTENDS not in document.data:
        return document
    path = _find_file(document, EXTENDS, folder, environment)
    chain = (*chain, path)
    if os.path.realpath(path) in map(os.path.realpath, chain[:-1]):
        raise InputError(
            f"leads back to a file that it comes from: {' -> '.join(map(str, chain))}",
            where=document.where((EXTENDS,)),
            remedy="Remove one of them",
        )
    base = extend_document(read_yaml(path), path.parent, environment, chain=chain)
    return _merge(document, base)


def embed_space(
    document: Document,
    *,
    folder: Path,
    option_folder: Path,
    environment: Mapping[str, str] | None,
) -> Document:
    """Return a study's document with the content of the space file that it names, if it does.

    A space that the study holds itself may extend a file, unless the study is a record: without an
    ``environment``.
    """

    def start(*place: str) -> Path:
        by_option = is_set_by_option(document, place)
        return option_folder if by_option else document.folder_of(place, folder)

    space = document.data.get("space")
    if isinstance(space, dict) and EXTENDS in space and environment is not None:
        part = extend_document(document.part("space"), start("space", EXTENDS), environment)
        return document.with_part("space", part)
    if not isinstance(space, str) or not space.endswith((".yaml", ".yml")):
        return document
    path = _find_file(document, "space", start("space"), environment or {})
    return document.with_embedded("space", read_space(path, environment or {}))


def _find_file(
    document: Document, field: str, folder: Path, environment: Mapping[str, str]
) -> Path:
    """Return the file that a field names. Raises InputError if there is none."""
    given = document.data[field]
    where = document.where((field,))
    if not isinstance(given, str):
        raise InputError("must be the path of a file", where=where, found=given)
    path = folder / expand_user(Path(expand_variables(given, environment, where=where)))
    if not folder.is_dir():  # the folder does not exist yet, so .. below it would fail
        path = Path(os.path.normpath(path))
    if not os.path.isfile(path):  # noqa: PTH113 (Path's own raises if the name is too long)
        raise InputError(
            "must name an existing file",
            where=where,
            found=given,
            remedy=". ".join(filter(None, (f"Looked for {path}", near_paths(path)))),
        )
    return path


def _merge(own: Document, base: Document) -> Document:
    """Lay a document over the one that it extends."""
    taken: set[Location] = set()  # what the base alone has

    def merge(ours: Any, theirs: Any, place: Location) -> Any:
        if not (isinstance(ours, dict) and isinstance(theirs, dict)):
            return ours
        if is_range(ours) or is_range(theirs):
            return ours
        merged = {}
        for key in dict.fromkeys((*theirs, *ours)):
            here = (*place, key)
            if key not in ours:
                taken.add(here)
                merged[key] = theirs[key]
            else:
                merged[key] = merge(ours[key], theirs[key], here) if key in theirs else ours[key]
        return merged

    inheritable = {key: item for key, item in base.data.items() if key not in _NOT_INHERITED}
    data = merge({key: item for key, item in own.data.items() if key != EXTENDS}, inheritable, ())
    found = [
        place
        for place in base.lines
        if any(place[:end] in taken for end in range(1, len(place) + 1))
    ]
    files = {place: base.inherited.get(place, base.source) for place in found}
    return replace(
        own,
        data=data,
        lines={**own.lines, **{place: base.lines[place] for place in found}},
        inherited={**own.inherited, **files},
    )
