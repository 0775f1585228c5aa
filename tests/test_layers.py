"""The layers: imports point downwards only, and heavy packages stay where they belong."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "searchlab"

# Higher may import lower. Layers of one rank do not know each other.
RANKS = {
    "errors": 0, "config": 1, "data": 2, "models": 2, "training": 3, "analysis": 4, "study": 5,
    "engine": 6, "report": 7, "doctor": 8, "cli": 9, "__main__": 10, "": 10,
}  # fmt: skip

ALL = frozenset(RANKS)
ONLY_IN = {
    "ray": {"engine"},
    "optuna": {"study", "engine", "report", "doctor", "cli"},
    "optuna_dashboard": {"report", "cli"},
    "torch": ALL - {"config", "errors"},
    "torchvision": ALL - {"config", "errors"},
    "typer": {"cli"},
}

# What `searchlab --help` may load besides the standard library and what of ours loads nothing
# else; all other things are imported inside the command that needs them.
LIGHT_IN_CLI = {"typer", "rich", "click", PACKAGE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported module: where, and whether importing the file is enough to load it."""

    target: str
    line: int
    at_module_level: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A source file as a module, with all that it imports."""

    name: str
    is_package: bool
    imports: tuple[Import, ...]

    @property
    def layer(self) -> str:
        """The layer that the module belongs to; empty for the package itself, which tops all."""
        return layer_of(self.name)


def layer_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else ""


def parse_module(name: str, source: str, *, is_package: bool = False) -> Module:
    found = _imports_in(ast.parse(source).body, name, is_package, at_module_level=True)
    return Module(name=name, is_package=is_package, imports=tuple(found))


def _imports_in(
    nodes: list[ast.AST] | list[ast.stmt], name: str, is_package: bool, *, at_module_level: bool
) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for target in _targets(node, name, is_package):
                yield Import(target=target, line=node.lineno, at_module_level=at_module_level)
        elif (target := _dynamic_target(node)) is not None:
            yield Import(target=target, line=node.lineno, at_module_level=at_module_level)
        runs_later = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from _imports_in(node.body, name, is_package, at_module_level=False)
            children: list[ast.AST] = list(node.orelse)
        else:
            children = list(ast.iter_child_nodes(node))
        yield from _imports_in(
            children, name, is_package, at_module_level=at_module_level and not runs_later
        )


def _targets(node: ast.Import | ast.ImportFrom, name: str, is_package: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        parents = name.split(".")
        parents = parents[: len(parents) - node.level + (1 if is_package else 0)]
        base = ".".join([*parents, *([base] if base else [])])
    # `from package import module` names a module as often as a function.
    yield from (f"{base}.{alias.name}" for alias in node.names)


def _dynamic_target(node: ast.AST) -> str | None:
    """Return what ``importlib.import_module("x")`` or ``__import__("x")`` names."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
    first = node.args[0]
    if called not in {"import_module", "__import__"} or not isinstance(first, ast.Constant):
        return None
    return first.value if isinstance(first.value, str) else None


def read_modules() -> dict[str, Module]:
    modules = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules[name] = parse_module(name, path.read_text(), is_package=is_package)
    return modules


def find_upward_imports(modules: dict[str, Module]) -> list[str]:
    """Name every import, wherever it stands, of a layer that is not below its own."""
    return [
        f"{module.name}:{found.line} imports {found.target}"
        for module in modules.values()
        for found in module.imports
        if (below := layer_of(found.target)) in RANKS.keys() - {""}
        and below != module.layer
        and RANKS[below] >= RANKS.get(module.layer, -1)
    ]


def find_unknown_layers(modules: dict[str, Module]) -> list[str]:
    return sorted({module.layer for module in modules.values()} - RANKS.keys())


def find_misplaced_packages(modules: dict[str, Module]) -> list[str]:
    """Name every import of a heavy package outside the layers that may know it."""
    return [
        f"{module.name}:{found.line} imports {found.target}"
        for module in modules.values()
        for found in module.imports
        if (top := found.target.split(".")[0]) in ONLY_IN and module.layer not in ONLY_IN[top]
    ]


def find_heavy_cli_imports(modules: dict[str, Module]) -> list[str]:
    """Name every heavy package that loading a module of the command line would load."""
    heavy: dict[str, None] = {}
    for start in modules.values():
        if start.layer not in {"cli", "__main__"}:
            continue
        for module in _loaded_with(start, modules):
            for found in module.imports:
                if found.at_module_level and not _is_light(found.target):
                    via = "" if module is start else f"{start.name} loads "
                    heavy[f"{via}{module.name}:{found.line}, which imports {found.target}"] = None
    return list(heavy)


def _loaded_with(start: Module, modules: dict[str, Module]) -> list[Module]:
    """Return the module and all of ours that Python loads with it, parent packages included."""
    loaded, queue = {start.name: start}, [start]
    for module in queue:
        names = [module.name, *(one.target for one in module.imports if one.at_module_level)]
        for name in names:
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                other = modules.get(".".join(parts[:end]))
                if other is not None and other.name not in loaded:
                    loaded[other.name] = other
                    queue.append(other)
    return queue


def _is_light(target: str) -> bool:
    return (top := target.split(".")[0]) in sys.stdlib_module_names or top in LIGHT_IN_CLI


def find_cycles(modules: dict[str, Module]) -> list[str]:
    """Name one ring of modules for each group that import each other when loaded."""
    edges = {
        name: sorted(
            {
                target
                for found in module.imports
                if found.at_module_level
                and (target := _nearest_module(found.target, modules)) not in {None, name}
            }
        )
        for name, module in modules.items()
    }
    cycles, done = [], set()
    for start in edges:
        path = _path_back(start, edges)
        if path and not done & set(path):
            done |= set(path)
            cycles.append(" -> ".join(path))
    return cycles


def _nearest_module(target: str, modules: dict[str, Module]) -> str | None:
    while target and target not in modules:
        target = target.rpartition(".")[0]
    return target or None


def _path_back(start: str, edges: dict[str, list[str]]) -> list[str] | None:
    queue, seen = [[start]], {start}
    for path in queue:
        for target in edges[path[-1]]:
            if target == start:
                return [*path, start]
            if target not in seen:
                seen.add(target)
                queue.append([*path, target])
    return None


MODULES = read_modules()


def test_every_module_belongs_to_a_layer() -> None:
    assert len(MODULES) > 10
    assert find_unknown_layers(MODULES) == []


def test_imports_point_downwards() -> None:
    assert find_upward_imports(MODULES) == []


def test_no_modules_import_each_other() -> None:
    assert find_cycles(MODULES) == []


def test_heavy_packages_are_imported_only_where_they_belong() -> None:
    assert find_misplaced_packages(MODULES) == []


def test_command_line_loads_nothing_heavy() -> None:
    assert find_heavy_cli_imports(MODULES) == []


def planted(**sources: str) -> dict[str, Module]:
    """Modules of a made-up tree: ``training__loop`` stands for searchlab.training.loop."""
    modules = {}
    for key, source in sources.items():
        is_package = key.endswith("__init")
        parts = [PACKAGE, *key.removesuffix("__init").split("__")]
        name = ".".join(parts)
        modules[name] = parse_module(name, source, is_package=is_package)
    return modules


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("training__loop", "import searchlab.study.ledger"),
        ("training__loop", "from searchlab.study import ledger"),
        ("training__loop", "from searchlab import study"),
        ("training__loop", "from ..study.ledger import Ledger"),
        ("training__loop", "from .. import engine"),
        ("training__init", "from ..cli import main"),
        ("data__digits", "from searchlab.models.build import build_model"),
        ("models__cnn", "from searchlab.data import registry"),
        ("errors", "from searchlab.config import trial"),
        ("config__trial", "def f():\n    from searchlab.data import folds"),
        ("config__trial", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
         "    from searchlab.study import ledger"),
        ("config__trial", "try:\n    import searchlab.cli\nexcept ImportError:\n    pass"),
        ("engine__tune", "class A:\n    from searchlab.report import html"),
        ("study__ledger", "import importlib\nx = importlib.import_module('searchlab.engine')"),
    ],
)  # fmt: skip
def test_checker_catches_upward_imports(place: str, source: str) -> None:
    assert len(find_upward_imports(planted(**{place: source}))) == 1


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("cli__main", "from searchlab.report import html\nfrom searchlab.errors import InputError"),
        ("training__loop", "from searchlab.training.step import step\nfrom .metrics import mean"),
        ("training__init", "from .loop import train\nfrom searchlab.models import build"),
        ("training__loop", "from ..models.build import build_model"),
        ("config__trial", "import json, pathlib"),
    ],
)
def test_checker_lets_downward_imports_pass(place: str, source: str) -> None:
    assert find_upward_imports(planted(**{place: source})) == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("study__ledger", "import ray"),
        ("cli__study", "def run():\n    import ray.tune"),
        ("training__loop", "from ray import tune"),
        ("training__loop", "import optuna"),
        ("analysis__plots", "from optuna.trial import Trial"),
        ("data__digits", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import optuna"),
        ("study__storage", "import optuna_dashboard"),
        ("config__space", "import torch"),
        ("config__space", "def f():\n    from torch import nn"),
        ("config__space", "import torchvision.transforms"),
        ("config__space", "import optuna"),
        ("report__html", "import typer"),
    ],
)
def test_checker_catches_misplaced_packages(place: str, source: str) -> None:
    assert len(find_misplaced_packages(planted(**{place: source}))) == 1


def test_checker_knows_where_packages_belong() -> None:
    modules = planted(
        engine__tune="import ray\nimport optuna\nimport torch",
        study__suggest="import optuna\nimport optunahub",
        report__dashboard="import optuna_dashboard",
        training__loop="import torch",
        cli__main="import typer",
    )
    assert find_misplaced_packages(modules) == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch",
        "import pandas as pd",
        "import numpy",
        "from pydantic import BaseModel",
        "from searchlab.config.space import SpaceSpec",
        "from searchlab.study import ledger",
        "from ..study.ledger import Ledger",
        "from . import panel",
        "try:\n    import optuna\nexcept ImportError:\n    optuna = None",
        "class A:\n    import sklearn",
        "import sys\nif sys.argv:\n    import torchvision",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import ray",
    ],
)
def test_checker_catches_heavy_imports_in_the_command_line(source: str) -> None:
    modules = planted(
        cli__main=source,
        cli__panel="from searchlab.models import build" if "panel" in source else "",
        config__space="import pydantic",
        models__init="import torch",
        models__build="",
        study__ledger="from searchlab.config import space",
    )
    assert find_heavy_cli_imports(modules) != []


@pytest.mark.parametrize(
    "source",
    [
        "import typer, json\nfrom rich.table import Table\nfrom searchlab.errors import InputError",
        "from searchlab import __version__\nfrom . import study\nfrom searchlab.cli import space",
        "def run():\n    import torch\n    from searchlab.study import ledger",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas",
        "import typing\nif typing.TYPE_CHECKING:\n    import pandas",
        "from searchlab.report.text import write",
    ],
)
def test_checker_lets_light_imports_of_the_command_line_pass(source: str) -> None:
    modules = planted(cli__main=source, report__text="import math", study__ledger="import optuna")
    assert find_heavy_cli_imports(modules) == []


def test_checker_catches_cycles() -> None:
    modules = planted(
        models__a="from searchlab.models.b import x",
        models__b="from . import c",
        models__c="import searchlab.models.a",
        models__d="from searchlab.models import a",
    )
    assert find_cycles(modules) == [
        "searchlab.models.a -> searchlab.models.b -> searchlab.models.c -> searchlab.models.a"
    ]


def test_checker_lets_late_and_typing_imports_close_a_ring() -> None:
    modules = planted(
        models__a="from searchlab.models.b import x",
        models__b="def f():\n    from searchlab.models import a",
        models__c="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import d",
        models__d="from . import c",
    )
    assert find_cycles(modules) == []


def test_checker_names_unknown_layers() -> None:
    assert find_unknown_layers(planted(utils__text="", data__digits="")) == ["utils"]
