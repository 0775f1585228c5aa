"""The errors that searchlab raises on purpose. Any other is a bug and keeps its traceback."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

from searchlab.control_characters import escape_line
from searchlab.exit_codes import ExitCode

__all__ = [
    "CombinedInputError",
    "InfrastructureError",
    "InputError",
    "InterruptedStudyError",
    "Location",
    "SearchlabError",
    "StudyFailedError",
    "did_you_mean",
    "first_line",
]


Location = tuple[str | int, ...]
"""The keys and indices that lead to a value in a document."""


class SearchlabError(Exception):
    """Base of every deliberate error. The command line prints it without a traceback.

    The process exits with ``exit_code`` if the error reaches the command line.
    """

    exit_code: int = ExitCode.NEGATIVE


class InputError(SearchlabError, ValueError):
    """The user's input cannot be used: says where, which rule, what was found, what to do.

    ``where`` is a place as text, such as a file and its line, or a ``Location``, which whoever
    knows the file turns into one with ``at``. Pydantic collects a ValueError that a validator
    raises, so validators raise this error as well, with a location below their own field.

    >>> str(InputError("must be > 0", where="cnn.yaml: parameters.lr.low", found=0.0))
    'cnn.yaml: parameters.lr.low must be > 0, got 0.0'
    """

    exit_code = ExitCode.BAD_INPUT

    def __init__(
        self,
        rule: str,
        *,
        where: str | Location = "",
        found: object = ...,
        remedy: str | None = None,
    ) -> None:
        super().__init__(rule)
        self.rule = rule
        self.where = where
        self.found = found
        self.remedy = remedy

    def __str__(self) -> str:
        where = self.where if isinstance(self.where, str) else ".".join(map(str, self.where))
        where = escape_line(where)  # a file's name may hold a line end
        message = f"{where} {self.rule}" if where else self.rule
        if self.found is not ...:
            message += f", got {_shorten(repr(self.found))}"
        if self.remedy:
            message += f". {self.remedy}"
        return message

    def at(self, where: str | Location) -> InputError:
        """Return the same error at another place."""
        return InputError(self.rule, where=where, found=self.found, remedy=self.remedy)


class CombinedInputError(InputError):
    """Several errors found at once, a line each; of very many, the first ones."""

    def __init__(self, errors: Sequence[InputError]) -> None:
        lines = [*map(str, errors[:_MAX_ERRORS])]
        if more := len(errors) - len(lines):
            lines.append(f"... and {more:,} more like these")
        super().__init__("\n".join(lines))
        self.args = (errors,)
        self.errors = tuple(errors)


class StudyFailedError(SearchlabError):
    """The study could not continue, or no trial succeeded. Finished trials are kept."""

    exit_code = ExitCode.NEGATIVE


class InfrastructureError(SearchlabError):
    """The machine failed, not the study: a full disk, a lost storage, workers that keep dying.

    The study can be resumed once that is fixed. No trial was spent on it.
    """

    exit_code = ExitCode.MACHINE_FAILED


class InterruptedStudyError(SearchlabError):
    """The user stopped the study, and can resume it. Exits with 130 (SIGINT) or 143 (SIGTERM)."""

    def __init__(self, message: str, *, exit_code: int = ExitCode.INTERRUPTED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


_MAX_LISTED = 12  # beside a guess
_MAX_KNOWN = 40
_MAX_ERRORS = 40
_MAX_SHOWN = 120  # a path fits, an inline space does not


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def did_you_mean(name: str, known: Iterable[str], *, shown: Callable[[str], str] = str) -> str:
    """Return a remedy for an unknown name: the nearest known names, and all if they are few.

    ``shown`` tells how to write a name.

    >>> did_you_mean("resnet8", ["cnn", "resnet"])
    'Did you mean resnet? Known: cnn, resnet'
    """
    known = sorted(known)
    spelled = {one.casefold(): one for one in known}
    folded = difflib.get_close_matches(name.casefold(), spelled, n=2, cutoff=0.5)
    near = [spelled[one] for one in folded]
    guess = f"Did you mean {' or '.join(escape_line(shown(one)) for one in near)}?" if near else ""
    if guess and len(known) > _MAX_LISTED:
        return guess
    listed, more = known[:_MAX_KNOWN], len(known) - _MAX_KNOWN
    listing = f"Known: {', '.join(escape_line(shown(one)) for one in listed)}"
    return f"{guess} {listing}".strip() + (f" and {more:,} more" if more > 0 else "")


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."
