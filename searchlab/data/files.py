"""Dataset files on disk: reading them with errors that name the file, and downloading them."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from searchlab.errors import InputError, SearchlabError

__all__ = ["fetch_command", "fetch_files", "reading"]


def fetch_command(name: str, root: Path) -> str:
    """Return the command line that fetches dataset ``name`` into ``root``."""
    return f"searchlab data fetch {name} --data-dir {shlex.quote(str(root))}"


@contextmanager
def reading(file: Path, *, name: str, root: Path) -> Iterator[None]:
    """Turn errors in reading ``file`` of dataset ``name`` into an ``InputError``."""
    try:
        yield
    except PermissionError as error:
        raise InputError(
            "is not readable", where=str(file), remedy="Check its permissions"
        ) from error
    # AssertionError: torchvision's readers assert a file's magic number.
    except (
        OSError,
        EOFError,
        AssertionError,
        IndexError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        cause = str(error) or type(error).__name__
        raise InputError(
            f"is damaged, or is not a file of {name} ({cause})",
            where=str(file),
            remedy=f"Delete it, then run: {fetch_command(name, root)}",
        ) from error


def fetch_files(
    download: Callable[[Path], None],
    *,
    name: str,
    root: Path,
    files: tuple[str, ...],
    archives: tuple[str, ...] = (),
    source: str,
) -> None:
    """Download the missing ``files`` (relative to ``root``); a failure leaves nothing behind.

    ``download`` fills a new folder, into which ``archives`` that already exist under ``root`` are
    copied first, so it need not download them. Raises ``SearchlabError`` if the download fails,
    ``InputError`` if ``root`` cannot be written.
    """
    from http.client import HTTPException  # a tenth of this package's import time

    with _staging_folder(root) as staging:
        for archive in archives:
            if (root / archive).is_file():
                (staging / archive).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / archive, staging / archive)
        try:
            download(staging)
        except (OSError, RuntimeError, HTTPException) as error:
            raise SearchlabError(
                f"{name} could not be downloaded from {source} ({_one_line(error)}). "
                f"Without a network, put {_listing(archives or files)} into {root}"
                + (f", then run: {fetch_command(name, root)}" if archives else "")
            ) from error
        for file in files:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            if not (root / file).exists():
                (staging / file).replace(root / file)


@contextmanager
def _staging_folder(root: Path) -> Iterator[Path]:
    # Beside the destination, so a finished file moves there by one atomic rename: a killed download
    # never leaves half a file under its final name.
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".fetch-", dir=root)
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror})",
            where=str(root),
            remedy="Choose another folder with --data-dir",
        ) from error
    with folder as path:
        yield Path(path)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _listing(files: tuple[str, ...]) -> str:
    return files[0] if len(files) == 1 else f"{', '.join(files[:-1])} and {files[-1]}"
