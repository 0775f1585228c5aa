"""What a page shows to be typed in: its blocks of code, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^>]+) -->\n)?"
    r'```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of code. A title is the file that it is written to; a reason, why it is not run."""

    language: str
    text: str
    title: str | None = None
    reason: str | None = None


def read_blocks(page: str, language: str | None = None) -> list[Block]:
    """Return the blocks of a page, or those of one language."""
    found = [Block(**match.groupdict()) for match in _BLOCK.finditer((ROOT / page).read_text())]
    return [block for block in found if language in (None, block.language)]


def list_recipes() -> list[str]:
    """Return the first page of the site and its recipes, in the order of its navigation."""
    [first, recipes, *_] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    pages = [*first.values(), *(page for one in recipes["Recipes"] for page in one.values())]
    return [f"docs/{page}" for page in pages]
