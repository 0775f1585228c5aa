"""Help: quick to import, a summary and examples for every command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from command_line import run_searchlab

from searchlab import __version__
from searchlab.cli.main import app

HEAVY = {"torch", "optuna", "ray", "numpy", "pandas", "pydantic", "yaml", "rich.console"}


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = list(commands(typer.main.get_command(app)))


def load_by(*commands: tuple[str, ...]) -> set[str]:
    """Return the modules that a fresh Python has loaded once it has run the commands."""
    code = (
        "import sys\n"
        "from searchlab.cli.main import main\n"
        f"for command in {commands!r}:\n"
        "    try: main(command)\n"
        "    except SystemExit as end: assert not end.code\n"
        "print('MODULES', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.partition("MODULES")[2].split())


def test_help_imports_nothing_heavy() -> None:
    loaded = load_by(("--help",))
    assert "searchlab.cli.main" in loaded
    assert not loaded & HEAVY


def test_no_commands_help_imports_more_than_the_specs() -> None:
    loaded = load_by(*((*path, "--help") for path in COMMANDS))
    assert "searchlab.models.registry" in loaded
    assert not loaded & (HEAVY - {"pydantic", "yaml"})


def test_a_space_is_written_and_checked_without_torch(tmp_path: Path) -> None:
    file = str(tmp_path / "small.yaml")
    loaded = load_by(
        ("space", "new", "--family", "cnn,resnet", "--lr", "0.001:0.1:log", "--out", file),
        ("space", "check", file),
        ("space", "families", "cnn"),
    )
    assert "searchlab.models.cnn" in loaded
    assert not loaded & {"torch", "optuna", "ray"}


def test_python_dash_m_runs_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "searchlab", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"searchlab {__version__}\n"


def test_all_documented_commands_are_there() -> None:
    expected = {
        "space new", "space show", "space check", "space sample", "study new", "data list",
        "data fetch", "dashboard", "schema",
    }  # fmt: skip
    assert expected <= {" ".join(path) for path in COMMANDS}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_a_summary_help_for_its_options_and_examples(
    path: tuple[str, ...],
) -> None:
    command: object = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]  # type: ignore[attr-defined]
    assert all(
        parameter.help
        for parameter in command.params  # type: ignore[attr-defined]
        if parameter.param_type_name == "option"
    )
    outcome = run_searchlab(*path, "--help")
    assert outcome.code == 0
    assert command.help  # type: ignore[attr-defined]
    lines = outcome.out.splitlines()
    start = next(index for index, line in enumerate(lines) if line.strip() == "Examples:")
    # Each on a line of its own, not run together into a paragraph.
    assert lines[start + 1].split()[: 1 + len(path)] == ["searchlab", *path]
    assert all(len(line) <= 80 for line in lines[start:])


@pytest.mark.parametrize("arguments", [["nope"], ["space", "show"], ["schema", "trial"]])
def test_usage_errors_exit_2_without_a_traceback(arguments: list[str]) -> None:
    outcome = run_searchlab(*arguments)
    assert outcome.code == 2
    assert "Usage: searchlab" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(shell: str) -> None:
    words = {"bash": ("COMP_WORDS", "COMP_CWORD"), "zsh": ("_TYPER_COMPLETE_ARGS", "_"),
             "fish": ("_TYPER_COMPLETE_ARGS", "_")}  # fmt: skip
    given, place = words[shell]
    environment = {
        **os.environ, "_SEARCHLAB_COMPLETE": f"complete_{shell}", given: "searchlab study re",
        place: "2", "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }  # fmt: skip
    command = [sys.executable, "-c", "from searchlab.cli.main import main; main()"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "resume" in done.stdout
    assert "leaderboard" not in done.stdout


def test_only_the_command_line_itself_offers_to_install_completion() -> None:
    assert "--install-completion" in run_searchlab("--help").out
    for path in COMMANDS:
        assert "-completion" not in run_searchlab(*path, "--help").out, path
