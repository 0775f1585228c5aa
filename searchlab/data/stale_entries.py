"""Removing decoded images of a tree that has changed since, only on request."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from searchlab.config.dataset import Fit
from searchlab.data.image_cache import PARTIAL, entry_name, is_of, list_cache_roots, lock_path
from searchlab.data.image_tree import ImageTree

__all__ = ["RemovedEntry", "remove_stale_entries"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedEntry:
    """A removed folder of the cache, and its size on disk."""

    path: Path
    num_bytes: int


def remove_stale_entries(
    tree: ImageTree, *, size: int, fit: Fit, data_dir: Path
) -> tuple[RemovedEntry, ...]:
    """Remove the entries for the tree's root, ``size`` and ``fit`` that no longer match its files.

    This includes entries that a killed process left incomplete. An entry that another process is
    making stays, and one that cannot be removed is logged as a warning.
    """
    import filelock

    current = {entry_name(tree, size=size, fit=fit, skip_broken=skip) for skip in (False, True)}
    removed = []
    for folder in _find_folders(data_dir):
        entry = folder.with_name(folder.name.removesuffix(PARTIAL))
        if entry.name in current or not is_of(folder, tree, size, fit):
            continue
        try:
            with filelock.FileLock(lock_path(entry), timeout=0):
                removed.append(_remove(folder))
        except filelock.Timeout:
            logger.warning("keeping %s: another process is making it", entry)
        except OSError as error:
            logger.warning("%s cannot be removed (%s)", folder, error.strerror or error)
    return tuple(removed)


def _find_folders(data_dir: Path) -> Iterator[Path]:
    for place in list_cache_roots(data_dir):
        try:
            yield from sorted(path for path in place.iterdir() if path.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            logger.warning("%s cannot be read (%s)", place, error.strerror)


def _remove(folder: Path) -> RemovedEntry:
    num_bytes = sum(file.stat().st_size for file in folder.iterdir())
    if not folder.name.endswith(PARTIAL):
        # Renamed first, so that a reader finds all of the entry or nothing.
        aside = folder.with_name(f"{folder.name}{PARTIAL}")
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(folder.rename(aside))
    else:
        shutil.rmtree(folder)
    return RemovedEntry(path=folder, num_bytes=num_bytes)
