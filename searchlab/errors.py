"""The errors that searchlab raises on purpose. All else is a bug and keeps its traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "InfrastructureError",
    "InputError",
    "InterruptedStudyError",
    "SearchlabError",
    "StudyFailedError",
    "did_you_mean",
]


class SearchlabError(Exception):
    """Base of every deliberate error. The CLI prints it without a traceback.

    ``exit_code`` is what the process ends with when the error reaches the command line.
    """

    exit_code = 1


class InputError(SearchlabError):
    """What the user gave cannot be used: says where, which rule, what was found, what to do.

    >>> str(InputError("must be > 0", where="cnn.yaml: parameters.lr.low", found=0.0))
    'cnn.yaml: parameters.lr.low must be > 0, got 0.0'
    """

    exit_code = 2

    def __init__(
        self, rule: str, *, where: str | None = None, found: object = ..., remedy: str | None = None
    ) -> None:
        message = f"{where} {rule}" if where else rule
        if found is not ...:
            message += f", got {found!r}"
        if remedy:
            message += f". {remedy}"
        super().__init__(message)


class StudyFailedError(SearchlabError):
    """The study could not go on, or nothing in it succeeded; what finished is kept."""

    exit_code = 1


class InfrastructureError(SearchlabError):
    """The machine failed, not the study: a full disk, a lost storage, workers that keep dying.

    The study can be resumed once that is mended; no trial was spent on it.
    """

    exit_code = 3


class InterruptedStudyError(SearchlabError):
    """The user stopped the study; it can be resumed. Ends with 130 (SIGINT) or 143 (SIGTERM)."""

    def __init__(self, message: str, *, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


_MAX_LISTED = 12


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a remedy for an unknown name: the nearest known names, and all where that is short.

    >>> did_you_mean("resnet8", ["cnn", "resnet"])
    'Did you mean resnet? Known: cnn, resnet'
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    listing = f"Known: {', '.join(known)}"
    if not near:
        return listing
    guess = f"Did you mean {' or '.join(near)}?"
    return guess if len(known) > _MAX_LISTED else f"{guess} {listing}"
