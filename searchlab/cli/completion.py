"""What a shell completes: the names of runs, studies and spaces, and what ``--set`` can set.

A function that knows no name returns none, and the shell then completes files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from searchlab.config.fields import SpecField

__all__ = [
    "complete_run",
    "complete_run_or_study",
    "complete_setting",
    "complete_space",
    "complete_study",
    "join_words_of_bash",
]

# Nobody sets them on a command line.
_HIDDEN = ("changed", "presets", "published")

# Names the field whose value is completed, if the shell does not complete both as one word.
_FIELD = "_SEARCHLAB_COMPLETE_FIELD"


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Return the runs in ``--runs-dir``, or else where runs are, the latest first."""
    from searchlab.records.run_folder import default_runs_dir, list_runs

    runs = list_runs(default_runs_dir(context.params.get("runs_dir")))
    return [run.path.name for run in runs if run.path.name.startswith(incomplete)]


def complete_study(incomplete: str) -> list[str]:
    """Return the studies that a name finds."""
    return _list_shipped("studies", incomplete)


def complete_run_or_study(context: typer.Context, incomplete: str) -> list[str]:
    """Return the runs, then the studies that a name finds."""
    found = [*complete_run(context, incomplete), *complete_study(incomplete)]
    return list(dict.fromkeys(found))


def complete_space(incomplete: str) -> list[str]:
    """Return the spaces that a name finds."""
    return _list_shipped("spaces", incomplete)


def _list_shipped(folder: str, incomplete: str) -> list[str]:
    from searchlab.config.shipped import list_names

    return [name for name in list_names(folder) if name.startswith(incomplete)]


def complete_setting(context: typer.Context, incomplete: str) -> list[str]:
    """Return the fields that ``--set`` can name, or the values of the one that is named.

    A field that is open gets two words, the second of which shows what it takes: a shell ends a
    single one with a space.
    """
    from searchlab.config.fields import list_settable
    from searchlab.config.study import StudySpec
    from searchlab.records.recorded_spec import RESUMABLE

    fields = {field.place: field for field in list_settable(StudySpec)}
    allowed = RESUMABLE if context.info_name == "resume" else tuple(StudySpec.model_fields)
    fields = {
        place: field
        for place, field in fields.items()
        if place.startswith(allowed) and not place.startswith(_HIDDEN)
    }
    if alone := os.environ.get(_FIELD):
        return list(fields[alone].choices) if alone in fields else []
    place, equals, _ = incomplete.partition("=")
    if equals:
        return [f"{place}={one}" for one in fields[place].choices] if place in fields else []
    return _complete_place(place, fields)


def _complete_place(begun: str, fields: Mapping[str, SpecField]) -> list[str]:
    near = [begun] if begun in fields else [place for place in fields if place.startswith(begun)]
    if len(near) == 1:
        [place] = near
        values = fields[place].choices or ("", f"<{fields[place].kind}>")
        return [f"{place}={value}" for value in values]
    sections = list(dict.fromkeys(_first_part(place) for place in near))
    return near if len(sections) == 1 else sections


def _first_part(place: str) -> str:
    section, dot, _ = place.partition(".")
    return section + dot


def join_words_of_bash() -> None:
    """Join ``--set field=value``, which bash hands over as ``--set field = value``, for Typer.

    Of the word that is completed only the value is left, because bash replaces no more.
    """
    if os.environ.get("_SEARCHLAB_COMPLETE") != "complete_bash":
        return
    given, cursor = os.environ.get("COMP_WORDS", ""), os.environ.get("COMP_CWORD", "")
    words = given.split("\n" if "\n" in given else " ")
    if not cursor.isdigit() or "=" not in words[: int(cursor) + 1]:
        return
    joined: list[str] = []
    for index, word in enumerate(words[: int(cursor) + 1]):
        if index > 0 and "=" in (word, words[index - 1]):
            joined[-1] += word
        else:
            joined.append(word)
    option, equals, word = joined[-1].partition("=")
    if not option.startswith("--"):
        option, equals, word = "", "", joined[-1]
    place, is_value, value = word.partition("=")
    if is_value:
        os.environ[_FIELD] = place
        joined[-1] = f"{option}{equals}{value}"
    os.environ.update(COMP_WORDS="\n".join(joined), COMP_CWORD=str(len(joined) - 1))
