"""Making a run's folder so that nothing half-written is left where a study cannot begin."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from searchlab.errors import InputError
from searchlab.study.runs import RunFolder

__all__ = ["check_new", "made", "undone_on_input_error"]


def check_new(run: RunFolder) -> None:
    """Raise InputError where a study was begun in the folder before."""
    if run.exists():
        raise InputError(
            "exists already",
            where=f"the run {run.path}",
            remedy=f"Carry on with: searchlab study resume {run.path}. "
            "Or run it under another name: --set name=...",
        )


@contextmanager
def made(run: RunFolder) -> Iterator[None]:
    """Make the run folder; on an error before the study was begun, leave none behind."""
    before = [folder for folder in (run.path, *run.path.parents) if not folder.exists()]
    try:
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            run.lock_file.touch()
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}",
                where=f"the run folder {run.path}",
                remedy="Choose another place with --runs-dir",
            ) from error
        yield
    finally:
        if run.path in before and not run.exists():
            shutil.rmtree(run.path, ignore_errors=True)
            with suppress(OSError):  # another run may lie in there by now
                for folder in before[1:]:
                    folder.rmdir()


@contextmanager
def undone_on_input_error(run: RunFolder) -> Iterator[None]:
    """Take back what a study wrote of itself where it cannot begin."""
    try:
        yield
    except InputError:
        run.discard()
        raise
