"""The layers: pyproject.toml's import contracts hold, and the command line loads nothing heavy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]

# Each module breaks one contract, or closes a circle; some with imports that are never run.
PLANTED = {
    "config/planted_upward.py": (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n"
        "    from searchlab.study.ledger import Ledger\n"
    ),
    "data/planted_sideways.py": "def load():\n    from searchlab.models import registry\n",
    "study/planted_ray.py": "from ray import tune\n",
    "analysis/planted_optuna.py": "from optuna.trial import Trial\n",
    "study/planted_dashboard.py": "import optuna_dashboard\n",
    "report/planted_typer.py": "import typer\n",
    "models/planted_torch.py": "import torch\n",
    "config/planted_torch.py": "import torch.nn\n",
    "training/planted_optuna.py": "import optuna\n",
    "records/locks/planted_course.py": "from ...study.ledger import Ledger\n",
    "planted_layer/__init__.py": "",
    "doctor/planted_circle.py": (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n"
        "    from searchlab.doctor import planted_back\n"
    ),
    "doctor/planted_back.py": "def f():\n    from searchlab.doctor import planted_circle\n",
}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of ``folder/pyproject.toml`` on the package in that folder."""
    command = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"
    return subprocess.run(
        [sys.executable, "-c", command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def report_on_planted(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "searchlab", folder / "searchlab")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, source in PLANTED.items():
        path = folder / "searchlab" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    checked = lint_imports(folder)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    return checked.stdout


def test_the_import_contracts_hold() -> None:
    checked = lint_imports(ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    "found",
    [
        "searchlab.config.planted_upward -> searchlab.study.ledger (l.3)",
        "searchlab.data.planted_sideways -> searchlab.models.registry (l.2)",
        "searchlab.study.planted_ray -> ray (l.1)",
        "searchlab.analysis.planted_optuna -> optuna (l.1)",
        "searchlab.study.planted_dashboard -> optuna_dashboard (l.1)",
        "searchlab.report.planted_typer -> typer (l.1)",
        "searchlab.config.planted_torch -> torch (l.1)",
        "searchlab.training.planted_optuna -> optuna (l.1)",
        "searchlab.records.locks.planted_course -> searchlab.study.ledger (l.1)",
        "planted_layer",
        "No cycles are allowed in searchlab.doctor.",
    ],
)
def test_an_import_against_the_contracts_is_found(report_on_planted: str, found: str) -> None:
    assert found in report_on_planted


def test_an_import_that_the_contracts_allow_is_not_found(report_on_planted: str) -> None:
    assert "searchlab.models.planted_torch" not in report_on_planted


def find_circle(imports: dict[str, set[str]]) -> list[str]:
    """Return modules of which each imports the next, from one of them back to itself; else none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_no_package_imports_a_module_that_imports_the_package() -> None:
    """The contract looks at the modules of a package, but not at the package's own __init__."""
    graph = grimp.build_graph("searchlab", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert len(imports) > 100
    assert find_circle(imports) == []


def test_a_circle_through_a_package_is_found() -> None:
    circle = find_circle({"a": {"a.b"}, "a.b": {"a.c"}, "a.c": {"a"}, "a.d": {"a.b"}})
    assert sorted(circle[1:]) == ["a", "a.b", "a.c"]
    assert circle[0] == circle[-1]


# What `searchlab --help` may load besides the standard library and the package itself; commands
# import everything else when they run. typer brings all but the last two with it.
LIGHT = {
    "typer", "click", "rich", "shellingham", "annotated_doc", "markdown_it", "mdurl", "pygments",
    "typing_extensions", "_distutils_hack",
}  # fmt: skip


@pytest.mark.parametrize("code", ["import searchlab.cli.main", "show_help()"])
def test_the_command_line_loads_nothing_heavy(code: str) -> None:
    script = (
        "import sys\n"
        "before = set(sys.modules)\n"  # what this Python's own start loads
        "def show_help():\n"
        "    from searchlab.cli.main import app\n"
        "    app(['--help'], standalone_mode=False)\n"
        f"{code}\n"
        "print(*{name.partition('.')[0] for name in {*sys.modules} - before}, file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(ended.stderr.split())
    assert "typer" in loaded
    theirs = {name for name in loaded if not name.startswith("__")}
    assert theirs - set(sys.stdlib_module_names) - LIGHT == {"searchlab"}
