"""What the pages show can be typed in: commands parse, files exist, YAML is valid."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer.main
from documented import ROOT, list_recipes, read_blocks
from jsonschema import Draft202012Validator

from searchlab.cli.main import app
from searchlab.config.documents import parse_yaml
from searchlab.study.schema import space_schema, study_schema

PAGES = ("README.md", "examples/README.md", *list_recipes())


def read_texts(page: str, language: str) -> list[str]:
    return [block.text for block in read_blocks(page, language)]


def read_commands(page: str) -> list[list[str]]:
    """Every line that calls searchlab, as the shell splits it, without what goes to a file."""
    text = "".join(read_texts(page, "bash")).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.startswith("searchlab ")]
    return [
        shlex.split(line.partition(" > ")[0].partition(" || ")[0], comments=True)[1:]
        for line in lines
    ]


APP = typer.main.get_command(app)
COMMANDS = [(page, command) for page in PAGES for command in read_commands(page)]


@pytest.mark.parametrize(
    "command", [command for _, command in COMMANDS], ids=[" ".join(words) for _, words in COMMANDS]
)
def test_command_parses(command: list[str]) -> None:
    found: Any = APP
    words = command
    while hasattr(found, "commands"):
        assert words[0] in found.commands
        found, words = found.commands[words[0]], words[1:]
    found.make_context(command[-1], list(words))  # raises for an option that is not there


@pytest.mark.parametrize("page", PAGES)
def test_files_named_in_commands_are_there_or_made_by_an_earlier_one(page: str) -> None:
    made = set(re.findall(r" > (\S+)", "".join(read_texts(page, "bash"))))
    made |= {block.title for block in read_blocks(page) if block.title is not None}
    made |= {"studies/photos.yaml"} if page.startswith("docs/") else set()  # by the first page
    missing: list[str] = []
    for command in read_commands(page):
        files = [word for word in command if re.search(r"\w\.(yaml|py)$", word)]
        missing += [file for file in files if file not in made and not (ROOT / file).exists()]
        if command[:2] == ["study", "new"]:
            made.add(f"studies/{command[2]}.yaml")
    assert missing == []


def test_every_shown_space_and_part_of_a_study_is_valid() -> None:
    blocks = read_texts("README.md", "yaml")
    assert len(blocks) > 2
    for block in blocks:
        data = parse_yaml(block, source="README.md").data
        if "parameters" in data:
            Draft202012Validator(space_schema()).validate(data)
        else:
            least = {"name": "s", "dataset": "digits", "space": "s.yaml", "search": {"trials": 1}}
            Draft202012Validator(study_schema()).validate({**least, **data})


def test_every_shipped_space_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for file in sorted((ROOT / "spaces").glob("*.yaml")):
        if not file.stem.startswith("report"):
            assert f"](spaces/{file.name})" in text
