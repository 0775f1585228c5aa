"""Writes docs/api.md from the docstrings of what ``import searchlab`` offers.

Run it after a change: ``python docs/make_api.py``. A test says when the page is out of date.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ForwardRef

import searchlab
from searchlab.api.studies import ResumedSections, StudySections
from searchlab.report.verdict import Verdict

PAGE = Path(__file__).with_name("api.md")

_HEAD = """\
# searchlab from Python

Made from the docstrings by `python docs/make_api.py`; do not edit it.

```python
import searchlab

run = searchlab.run_study("studies/quickstart.yaml", search={"trials": 10})
run.verdict.answer
run.trials, run.epochs, run.leaderboard  # pandas DataFrames
run.best.config, run.optuna_study
model, classes = run.best.load_model()  # an nn.Module in eval mode, with its preprocessing
```

[examples/quickstart.ipynb](../examples/quickstart.ipynb) is a notebook that uses them.
"""
_SECTION = re.compile(r"^(Args|Raises|Example):$", re.MULTILINE)
_TITLES = {"Args": "Arguments", "Raises": "Errors", "Example": "Example"}
_EXAMPLE = re.compile(r"^(>>> [^`]*)\Z", re.MULTILINE)
_ENTRY = re.compile(r"^    (\*{0,2}\w+): ", re.MULTILINE)


def make_page() -> str:
    """Return the page."""
    offered = [getattr(searchlab, name) for name in searchlab.__all__ if not name.startswith("_")]
    functions = [one for one in offered if inspect.isfunction(one)]
    errors = [one for one in offered if inspect.isclass(one) and issubclass(one, Exception)]
    classes = [searchlab.Run, searchlab.Trial]
    order = ["run_study", "resume_study", "load_run"]
    parts = [_HEAD, "## Functions\n"]
    functions.sort(key=lambda function: order.index(function.__name__))
    parts += [part for function in functions for part in _describe_function(function, "###")]
    for sections in (StudySections, ResumedSections):
        parts.append(_describe_sections(sections))
    for cls in (*classes, Verdict):
        parts += _describe_class(cls)
    parts.append("## Errors\n")
    errors.sort(key=lambda error: (len(error.__mro__), error.__name__))
    for error in errors:
        bases = ", ".join(f"`{base.__name__}`" for base in error.__bases__)
        head = f"### {error.__name__}\n\nA kind of {bases}."
        parts.append(f"{head}\n\n{_to_markdown(_doc(error))}")
    return "\n".join(parts).rstrip() + "\n"


def _describe_sections(sections: type) -> str:
    head = f"### {sections.__name__}\n\n{_to_markdown(_doc(sections))}\n"
    return head + _list_fields(inspect.get_annotations(sections))


def _list_fields(kinds: Mapping[str, object]) -> str:
    return "".join(f"- `{name}`: `{_spell(kind)}`\n" for name, kind in kinds.items())


def _spell(kind: object) -> str:
    """Write an annotation as readers know it."""
    text = kind.__forward_arg__ if isinstance(kind, ForwardRef) else str(kind)
    text = re.sub(r"\bUnpack\[(\w+)\]", r"\1", text)
    text = re.sub(r"\bStrPath\b", "str | PathLike", text)
    return re.sub(r"\bSection\b", "Mapping", text)


def _describe_class(cls: type) -> Iterator[str]:
    yield f"## {cls.__name__}\n\n{_to_markdown(_doc(cls))}"
    if is_dataclass(cls):
        yield _list_fields({field.name: field.type for field in fields(cls)})
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(member, (property, cached_property)):
            getter = member.fget if isinstance(member, property) else member.func
            assert getter is not None
            kind = _spell(inspect.signature(getter).return_annotation)
            yield f"### {cls.__name__}.{name}: `{kind}`\n\n{_to_markdown(_doc(member))}"
        elif inspect.isfunction(member):
            yield from _describe_function(member, "###", owner=cls.__name__)


def _describe_function(
    function: Callable[..., Any], level: str, *, owner: str = "searchlab"
) -> Iterator[str]:
    signature = inspect.signature(function)
    parameters = [one for one in signature.parameters.values() if one.name != "self"]
    lines: list[str] = []
    for parameter in parameters:
        is_keyword = parameter.kind is parameter.KEYWORD_ONLY
        if is_keyword and "*," not in lines:
            lines.append("*,")
        lines.append(f"{_write_parameter(parameter)},")
    inside = "".join(f"\n    {line}" for line in lines)
    end = "\n" if lines else ""
    name = f"{owner}.{function.__name__}"
    yield (
        f"{level} {name}\n\n```python\n{function.__name__}({inside}{end}) -> "
        f"{signature.return_annotation}\n```\n\n{_to_markdown(_doc(function))}"
    )


def _write_parameter(parameter: inspect.Parameter) -> str:
    text = str(parameter.replace(annotation=parameter.empty, default=parameter.empty))
    text += f": {_spell(parameter.annotation)}"
    return text if parameter.default is parameter.empty else f"{text} = {parameter.default!r}"


def _doc(thing: object) -> str:
    text = inspect.getdoc(thing)
    assert text, f"{thing} has a docstring"
    return text


def _to_markdown(doc: str) -> str:
    """Turn a docstring of Google's form into Markdown."""
    head, *sections = _SECTION.split(doc)
    text = _EXAMPLE.sub(r"```python\n\1\n```", head.strip()) + "\n"
    for name, body in zip(sections[::2], sections[1::2], strict=True):
        text += f"\n{_TITLES[name]}:\n\n"
        if name == "Example":
            code = re.sub(r"^    (>>> |\.\.\. )?", "", body.strip("\n"), flags=re.MULTILINE)
            text += f"```python\n{code.rstrip()}\n```\n"
        else:
            entries = _ENTRY.sub(r"- `\1`: ", body.strip("\n"))
            text += re.sub(r"\n +", " ", entries).rstrip() + "\n"
    return re.sub(r"(?<!`)``(?!`)", "`", text)


if __name__ == "__main__":
    PAGE.write_text(make_page(), encoding="utf-8")
