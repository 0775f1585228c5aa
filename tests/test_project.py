"""The project's own papers: versions, pins, commands and paths agree with each other."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import searchlab

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "searchlab").rglob("*.py"))
MAX_LINES = 400


def read_project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def read_requirements() -> list[Requirement]:
    """Everything that pyproject asks for, extras included."""
    project = read_project()
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [Requirement(text) for group in groups for text in group]
    return [one for one in requirements if one.name != project["name"]]


def read_pin_lines() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def test_the_version_is_written_in_one_place() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in settings["project"]["dynamic"]
    place = settings["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    assert place == f"{searchlab.version.__name__}.__version__"


def test_constraints_are_exact_pins_and_nothing_else() -> None:
    lines = read_pin_lines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line
    names = [canonicalize_name(line.partition("==")[0]) for line in lines]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("requirement", read_requirements(), ids=str)
def test_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    pins = {
        canonicalize_name(name): version
        for name, _, version in (line.partition("==") for line in read_pin_lines())
    }
    assert canonicalize_name(requirement.name) in pins
    assert requirement.specifier.contains(Version(pins[canonicalize_name(requirement.name)]))
    bounds = {specifier.operator for specifier in requirement.specifier}
    assert bounds == {">=", "<"}, "a range has a tested lower and an untested upper bound"


def read_command(marker: str) -> str:
    """Return the README's command: the bash block after an HTML comment."""
    blocks = re.findall(
        rf"^<!-- {marker} -->\n+```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S
    )
    assert len(blocks) == 1, f"README.md needs one ```bash block after <!-- {marker} -->"
    return str(blocks[0])


def test_ci_runs_the_readme_test_command_as_written() -> None:
    printed = subprocess.run(
        ["bash", ".ci/run", "--print"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout == read_command("test")


@pytest.mark.parametrize(
    ("marker", "ending"),
    [("quickstart", "searchlab study run studies/quickstart.yaml"), ("test", ".venv/bin/pytest")],
)
def test_readme_command_does_all_the_set_up(marker: str, ending: str) -> None:
    command = read_command(marker)
    assert command.count("\n") == 1, "one command"
    assert "python3 -m venv .venv && " in command
    assert ".venv/bin/pip install -c constraints.txt " in command
    assert command.rstrip().endswith(ending)


def test_ci_names_no_package_index() -> None:
    text = (ROOT / ".ci/run").read_text() + (ROOT / "constraints.txt").read_text()
    assert not re.search(r"index-url|find-links|--proxy|https?://|PIP_", text)


def test_ci_lets_no_failing_test_run_pass() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert "set -euo pipefail" in lines
    assert [line for line in lines if "pytest" in line and "||" in line] == []


def test_hooks_download_nothing() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {hook["entry"].split(" --")[0] for hook in hooks} == {
        "ruff check",
        "ruff format",
        "mypy",
    }


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/design.md"])
def test_paths_named_in_a_page_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    folders = "searchlab|tests|benchmarks|docs"
    named = re.findall(rf"`((?:{folders})/[^`<> ]*|[\w.]+\.(?:md|toml|txt))`", text)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def list_committed_files() -> list[Path]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs a git checkout")
    # CI may own the checkout by another user than it runs as, which git would refuse to read.
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


# Someone's home or work folder; the user of Ray's own container images is nobody in particular.
MACHINE_PATH = re.compile(rb"(?<![\w.~-])/(?:home/(?!ray\b)\w|Users/\w|root/|work/)")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"see /" + b"home/ann/x", True),
        (b"'/" + b"work/main'", True),
        (b"/" + b"root/.cache", True),
        (b"/home/ray/searchlab", False),
        (b"https://example.org/" + b"work/a", False),
        (b"runs/" + b"work/a", False),
        (b"/usr/bin/chromium", False),
    ],
)
def test_machine_paths_are_told_from_others(text: bytes, found: bool) -> None:
    assert bool(MACHINE_PATH.search(text)) == found


def test_no_committed_file_names_a_folder_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in list_committed_files()
        if (match := MACHINE_PATH.search(path.read_bytes()))
    ]
    assert found == []


def test_source_files_stay_small() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in SOURCES}
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


def find_swallowed_errors(source: str) -> list[int]:
    """Return the lines of handlers that catch everything unseen: bare, or broad and empty."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (_is_broad(node.type) and all(map(_does_nothing, node.body))))
    ]


def _is_broad(caught: ast.expr) -> bool:
    names: Iterator[ast.expr] = iter(caught.elts if isinstance(caught, ast.Tuple) else [caught])
    return any(
        getattr(name, "id", getattr(name, "attr", "")) in {"Exception", "BaseException"}
        for name in names
    )


def _does_nothing(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Pass, ast.Continue)) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


@pytest.mark.parametrize(
    ("handler", "caught"),
    [
        ("except:\n    raise", True),
        ("except Exception:\n    pass", True),
        ("except (ValueError, BaseException):\n    ...", True),
        ("except builtins.Exception:\n    'why not'", True),
        ("except ValueError:\n    pass", False),
        ("except Exception:\n    log()\n    raise", False),
    ],
)
def test_swallowed_errors_are_found(handler: str, caught: bool) -> None:
    assert bool(find_swallowed_errors(f"try:\n    f()\n{handler}")) == caught


def test_no_error_is_swallowed_unseen() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in SOURCES
        if (lines := find_swallowed_errors(path.read_text()))
    }
    assert found == {}
