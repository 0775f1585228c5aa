"""The studies, spaces and examples that come with searchlab, and finding one by its name.

They are at the top of a checkout. A wheel has them in the package, in the folder ``shipped``.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from searchlab.config.text_files import near_paths
from searchlab.errors import InputError, did_you_mean

__all__ = ["FOLDERS", "find_space", "find_study", "list_names", "shipped_files", "shipped_root"]

FOLDERS = ("studies", "spaces", "examples")

_YAML = (".yaml", ".yml")


def shipped_root() -> Path:
    """Return the folder that has ``FOLDERS``."""
    package = Path(__file__).parents[1]
    in_wheel = package / "shipped"
    return in_wheel if in_wheel.is_dir() else package.parent


def shipped_files() -> list[PurePath]:
    """Return the files of ``FOLDERS``, relative to ``shipped_root``; pictures stay behind."""
    root = shipped_root()
    found = [
        path.relative_to(root)
        for folder in FOLDERS
        for path in (root / folder).rglob("*")
        if path.is_file() and path.suffix not in (".svg", ".pyc")
    ]
    return sorted(path for path in found if not any(part[0] == "." for part in path.parts))


def find_study(given: str) -> Path:
    """Return the file of a study: a path, or a name in ``./studies`` or among the shipped ones.

    Raises InputError for a name that neither has. A path may lead nowhere, which reading it says,
    unless it has a shipped study's name.
    """
    return _find(given, "studies", "study")


def find_space(given: str) -> Path:
    """Return the file of a space, as ``find_study`` does."""
    return _find(given, "spaces", "space")


def list_names(folder: str) -> list[str]:
    """Return the names that can be found in one of ``FOLDERS``, of this folder or as shipped."""
    names = {path.stem for root in _roots() for path in (root / folder).glob("*.yaml")}
    return sorted(names)


def _roots() -> tuple[Path, Path]:
    return Path(), shipped_root()


def _find(given: str, folder: str, kind: str) -> Path:
    path = Path(given)
    # Path's own methods raise if the name is too long.
    if os.path.exists(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112
        return path
    if path.name != given or path.suffix in _YAML:
        return _check_path(path, folder, kind)
    for found in (Path(f"{given}.yaml"), *(root / folder / f"{given}.yaml" for root in _roots())):
        if os.path.isfile(found):  # noqa: PTH113
            return found
    raise InputError(
        f"is neither a file nor the name of a {kind}",
        where=given,
        remedy=did_you_mean(given, list_names(folder)),
    )


def _check_path(path: Path, folder: str, kind: str) -> Path:
    """Return the path; if it has the name of a shipped file but leads nowhere, say what does."""
    is_shipped = (shipped_root() / folder / f"{path.stem}.yaml").is_file()
    if not is_shipped or os.path.lexists(path):
        return path
    own = f"For the {kind} that comes with searchlab, write {path.stem} alone"
    remedy = ". ".join(filter(None, (near_paths(path), own)))
    raise InputError("does not exist", where=str(path), remedy=remedy)
