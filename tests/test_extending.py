"""docs/extending.md: every example's patch applies, touches few files, and works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("searchlab", "studies", "spaces")
# The most files that an addition may take (the page says the same).
MAX_FILES = {"A family": 2}
DEFAULT_MAX_FILES = 3
# What keeps a study of the page short: appended to every `study run`.
SHORT = (
    "--engine serial --quiet --set search.trials=3 --set training.epochs=2 --set confirm.top=1 "
    "--set confirm.repeats=0 --set validation.folds=2 --set validation.search_folds=1 "
    "--set training.batch_size=256 --set space.parameters.batch_size=256 "
    "--set baselines.architectures=[a2] --set baselines.schemes=[DT]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A section of the page: its patch, the commands that show it, and what they must print."""

    title: str
    patch: str
    commands: tuple[str, ...]
    prints: str

    @property
    def files(self) -> list[str]:
        return re.findall(r"^\+\+\+ b/(\S+)$", self.patch, flags=re.MULTILINE)


def read_examples() -> list[Example]:
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return [_read(section) for section in sections if "```diff" in section]


def _read(section: str) -> Example:
    blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL))
    patches = re.findall(r"^```diff\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    commands = blocks["bash"].replace("\\\n", " ").strip().splitlines()
    return Example(
        title=section.partition("\n")[0],
        patch="".join(patches),
        commands=tuple(commands),
        prints=blocks["text"].strip(),
    )


EXAMPLES = read_examples()


def test_every_kind_of_addition_has_an_example() -> None:
    assert [example.title for example in EXAMPLES] == [
        "A metric",
        "A training setting",
        "An optimizer",
        "A sampler",
        "A pruner",
        "A family",
        "A dataset",
        "A tracker",
        "A figure",
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_an_addition_touches_few_files(example: Example) -> None:
    assert 1 <= len(set(example.files)) <= MAX_FILES.get(example.title, DEFAULT_MAX_FILES)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_an_addition_works_as_the_page_says(example: Example, tmp_path: Path) -> None:
    for folder in COPIED:
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    subprocess.run(
        ["git", "apply", "-"],
        input=example.patch,
        text=True,
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "120"}
    printed = ""
    for command in example.commands:
        words = shlex.split(command)
        assert words[0] in ("searchlab", "cat"), command
        if words[1:3] == ["study", "run"]:
            words += shlex.split(SHORT)
        done = subprocess.run(
            words if words[0] == "cat" else [sys.executable, "-m", *words],
            cwd=tmp_path,
            env=environment,
            text=True,
            capture_output=True,
            timeout=500,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        printed += done.stdout
    assert example.prints in re.sub(r"\s+", " ", printed), printed
