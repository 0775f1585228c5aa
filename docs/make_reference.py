"""Makes the site's reference from what the code declares: fields, metrics, families, commands.

The site's build calls it (site_hooks.py). As a script it prints the page.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import typer.main

from searchlab.cli.main import app
from searchlab.config.fields import SpecField, analyse_field
from searchlab.config.metrics import list_metrics
from searchlab.config.samplers import SAMPLERS
from searchlab.config.settings import OPTIMIZER_SETTINGS, SHARED_PARAMETERS
from searchlab.config.study import StudySpec
from searchlab.config.validation import Spec
from searchlab.exit_codes import list_exit_codes
from searchlab.models import get_family, list_families
from searchlab.report.end_command import VARIABLES

_HEAD = """\
# Reference

Fields with their defaults, families, metrics, samplers, commands and exit codes, as the code has
them.
"""
# Written by searchlab, or explained on a page of its own.
_LEFT_OUT = ("changed", "space")
_NO_SECTIONS = ("published",)


def make_page() -> str:
    """Return the page."""
    return "\n".join(
        [
            _HEAD,
            "## A study file\n",
            "`--set search.trials=60` overrides the field `trials` of the section `search`, and so "
            "on for every field.\n",
            *_describe_study(),
            "## A space file\n",
            "`name`, `extends`, and `parameters`. A parameter is a value, a list of values, or a "
            "range `{low: 1, high: 8}` with `step` or `log: true` if you like. `family` is needed; "
            "a family's own parameters are under its name. All families share these settings of "
            f"`training`: {', '.join(f'`{name}`' for name in SHARED_PARAMETERS)}.\n",
            "## Families\n",
            *_describe_families(),
            "## Metrics\n",
            _table(("metric", "better", "measured", "first objective"), _list_metrics()),
            "## Samplers\n",
            _table(
                ("sampler", "needs a space file", "several objectives", "reference points"),
                [
                    (
                        f"`{name}`",
                        _say(traits.needs_a_space_file),
                        _say(traits.several_objectives),
                        _say(traits.has_reference_start),
                    )
                    for name, traits in SAMPLERS.items()
                ],
            ),
            "## Commands\n",
            _table(("command", "what it does"), _list_commands()),
            "## Exit codes\n",
            _table(
                ("exit code", "meaning"),
                [(str(code), meaning) for code, meaning in list_exit_codes()],
            ),
            "## What `on_end` is told\n",
            _table(
                ("variable", "value"),
                [(f"`{name}`", meaning) for name, meaning in VARIABLES.items()],
            ),
        ]
    )


def _describe_study() -> Iterator[str]:
    sections: dict[str, type[Spec]] = {}
    own = []
    for name, field in StudySpec.model_fields.items():
        kind, _ = analyse_field(field)
        if name in _LEFT_OUT:
            continue
        if _is_spec(kind) and name not in _NO_SECTIONS:
            sections[name] = kind
        else:
            own.append(_describe_field(SpecField(place=name, owner=StudySpec, name=name)))
    extends = ("`extends`", "", "a file beside this one, of which this one has all the rest")
    space = ("`space`", "required", "a space file, a space, or `module:function`")
    yield _table(_COLUMNS, [extends, own[0], space, *own[1:]])
    for name, spec in sections.items():
        yield from _describe_section(name, spec)


_COLUMNS = ("field", "default", "meaning")


def _describe_section(place: str, spec: type[Spec]) -> Iterator[str]:
    yield f"### {place}\n\n{_to_markdown(_doc(spec))}\n"
    rows, below = [], []
    for name, field in spec.model_fields.items():
        kind, _ = analyse_field(field)
        if _is_spec(kind) and name != "training":
            below.append((f"{place}.{name}", kind))
        rows.append(_describe_field(SpecField(place=name, owner=spec, name=name)))
    yield _table(_COLUMNS, rows)
    for inner, kind in below:
        yield from _describe_section(inner, kind)


def _describe_field(field: SpecField) -> tuple[str, str, str]:
    info = field.info
    meaning = info.description or ""
    choices = field.choices
    if choices != ("true", "false"):
        meaning = _with_choices(meaning, choices)
    return f"`{field.name}`", _write_default(field), meaning


def _with_choices(meaning: str, choices: Sequence[str]) -> str:
    """Add the choices that a description does not name itself."""
    if all(choice in meaning for choice in choices):
        return meaning
    listed = f"one of {', '.join(f'`{one}`' for one in choices)}"
    return f"{meaning}; {listed}" if meaning else listed


def _write_default(field: SpecField) -> str:
    info = field.info
    if info.is_required():
        return "required"
    if field.name in OPTIMIZER_SETTINGS:
        return ""  # depends on the optimizer, as the description says
    default = info.get_default(call_default_factory=True, validated_data={})
    if default is None or isinstance(default, Spec) or default in ((), {}):
        return ""
    if isinstance(default, tuple) and isinstance(default[0], Spec):
        return ""
    if isinstance(default, tuple):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _describe_families() -> Iterator[str]:
    families = [get_family(name) for name in list_families()]
    yield _table(("family", "what it is"), [(f"`{one.name}`", one.summary) for one in families])
    for family in families:
        schemas: Mapping[str, Mapping[str, Any]] = family.value_schemas()
        own = family.parameters
        if family.base is None and set(schemas) - {"scheme"}:
            rows = [
                (
                    f"`{name}`",
                    _write_value("DT" if name == "scheme" else own.default_value(name)),
                    _describe_schema(schema),
                )
                for name, schema in schemas.items()
            ]
            yield f"### {family.name}\n"
            yield _table(("parameter", "default", "meaning"), rows)


def _describe_schema(schema: Mapping[str, Any]) -> str:
    return _with_choices(
        schema.get("description", ""), [str(one) for one in schema.get("enum", ())]
    )


def _write_value(value: object) -> str:
    return "" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _list_metrics() -> Iterator[tuple[str, ...]]:
    when = {"fold": "each epoch, on each fold", "trial": "once a trial", "model": "of the network"}
    for metric in list_metrics():
        better = "more" if metric.direction == "maximize" else "less"
        can_be_first = metric.is_objective and metric.is_of_folds
        yield f"`{metric.name}`", better, when[metric.measured], _say(can_be_first)


def _list_commands() -> Iterator[tuple[str, str]]:
    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        if hasattr(command, "commands"):
            for name, inner in sorted(command.commands.items()):
                yield from walk(inner, (*words, name))
        else:
            first = (command.help or "").strip().split("\n\n")[0]
            yield f"`{' '.join(words)}`", " ".join(first.split())

    yield from walk(typer.main.get_command(app), ("searchlab",))


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = tuple(columns)
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(map(_escape, row))} |\n" for row in lines)


def _escape(cell: str) -> str:
    """Keep a cell in its column, and what looks like HTML as it is, but in code."""
    code = cell.replace("|", "/").split("`")
    return "`".join(part if index % 2 else part.replace("<", "&lt;")
                    for index, part in enumerate(code))  # fmt: skip


def _is_spec(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Spec)


def _say(truth: bool) -> str:
    return "yes" if truth else "no"


def _doc(spec: type) -> str:
    text = inspect.getdoc(spec)
    assert text, f"{spec} has a docstring"
    return text


def _to_markdown(doc: str) -> str:
    return re.sub(r"(?<!`)``(?!`)", "`", doc)


if __name__ == "__main__":
    print(make_page())  # noqa: T201
