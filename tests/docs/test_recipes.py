"""Every block of the first page and of the recipes is run as it stands, in the order of the site.

The pages share one folder, as a reader's would: a recipe may use what an earlier page made. Only
the studies are cut short (scaled_commands.py), and the images are few and small.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import run_searchlab
from documented import Block, list_recipes, read_blocks
from PIL import Image

from searchlab.config import plugins
from searchlab.models import registry

PAGES = list_recipes()
SHELL = frozenset(["|", "||", "&&", ";", ">", ">>", "<"])
# Stand-ins for Slurm: a job runs at once, on this machine.
SLURM = {
    "sbatch": 'SLURM_JOB_ID=7 exec bash "$1"',
    "srun": 'exec "$@"',
    "scontrol": 'echo "unexpected: scontrol $*" >&2; exit 1',
}


def make_photos(folder: Path) -> None:
    """Draw 12 photos of each of three classes, which differ in their colours."""
    rng = np.random.default_rng(0)
    for channel, name in enumerate(("daisy", "rose", "tulip")):
        (folder / name).mkdir(parents=True)
        for number in range(1, 13):
            pixels = rng.integers(0, 160, (40, 48, 3))
            pixels[:, :, channel] += 90
            image = Image.fromarray(pixels.astype(np.uint8))
            image.save(folder / name / f"{number:04}.jpg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The reader's folder, and a PATH with searchlab and Slurm."""
    from scaled_commands import scale

    folder = tmp_path_factory.mktemp("reader")
    make_photos(folder / "photos")
    tools = tmp_path_factory.mktemp("bin")
    script = Path(__file__).with_name("scaled_commands.py")
    commands = {"searchlab": f'exec {sys.executable} {script} "$@"', **SLURM}
    for name, text in commands.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PATH", str(tools), prepend=":")
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        patch.setenv("SEARCHLAB_DATA", str(tmp_path_factory.mktemp("data")))
        for name in ("SEARCHLAB_RUNS", "SEARCHLAB_STORAGE"):
            patch.delenv(name, raising=False)
        patch.setattr(registry, "_FAMILIES", dict(registry._FAMILIES))
        patch.setattr(plugins, "_loaded", {})
        scale(patch)
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_everything_that_a_page_shows_works(page: str, folder: Path) -> None:
    names: dict[str, object] = {}
    for block in read_blocks(page):
        if block.title is not None:
            path = folder / block.title
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
        elif block.language == "bash" and block.reason is None:
            for command in split_commands(block):
                run(command)
        elif block.language == "python":
            exec(compile(block.text, page, "exec"), names)


def split_commands(block: Block) -> list[str]:
    return block.text.replace("\\\n", " ").strip().splitlines()


def run(command: str) -> None:
    """Run a line; one of searchlab alone in this process, because that starts in no time."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    if words[0] == "searchlab" and not SHELL & set(words):
        outcome = run_searchlab(*words[1:])
        assert outcome.code == 0, (command, outcome)
        return
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)


def test_a_page_says_why_a_block_is_not_run() -> None:
    left_out = [block for page in PAGES for block in read_blocks(page, "bash") if block.reason]
    assert len(left_out) == 1, "each one needs a reason as good as the first page's"
    assert len(PAGES) == 13
