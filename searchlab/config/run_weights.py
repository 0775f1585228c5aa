"""Weights of earlier runs: ``run:NAME`` or ``run:NAME#12`` as a family's ``weights``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

from searchlab.config.loading import StudyFile
from searchlab.config.relative_paths import PARAMETERS_OF_STUDY, RUN_PREFIX, map_leaves
from searchlab.config.study import StudySpec
from searchlab.config.validation import validate_document
from searchlab.errors import InputError, Location

__all__ = ["RunWeights", "name_run_weights"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWeights:
    """The weights of a run: of its trial ``number``, or of its winner."""

    run: str
    number: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what ``run:NAME`` or ``run:NAME#12`` names. Raises InputError."""
        name, hash_, number = text.removeprefix(RUN_PREFIX).partition("#")
        if not name or (hash_ and not number.isdecimal()):
            raise InputError("weights of a run are written run:NAME or run:NAME#12, for trial 12")
        return cls(run=name, number=int(number) if hash_ else None)


def name_run_weights(file: StudyFile, find: Callable[[RunWeights], str]) -> StudyFile:
    """Return a study with the paths that ``find`` gives for the weights of earlier runs.

    Each is asked for once. Raises InputError with the place in the file.
    """
    found: dict[str, str] = {}

    def visit(value: Any, place: Location) -> Any:
        below = any(place[: len(above)] == above for above in PARAMETERS_OF_STUDY)
        if not (below and isinstance(value, str) and value.startswith(RUN_PREFIX)):
            return value
        if value not in found:
            where = file.document.where(place)
            try:
                found[value] = find(RunWeights.parse(value))
            except InputError as error:
                raise InputError(f"cannot start from {value}: {error}", where=where) from None
        return found[value]

    document = replace(file.document, data=map_leaves(file.document.data, (), visit))
    if not found:
        return file
    named = validate_document(StudySpec, document)
    parts = {"space": named.space, "search": named.search, "baselines": named.baselines}
    return StudyFile(spec=file.spec.model_copy(update=parts), document=document)
