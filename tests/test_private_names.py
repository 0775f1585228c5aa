"""What Optuna and Ray keep private is used in few files, and no object reads another's."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

import searchlab

ROOT = Path(__file__).parents[1]
INTERNALS = {
    "searchlab/records/optuna_database.py",
    "searchlab/records/optuna_internals.py",
    "searchlab/engine/ray/ray_internals.py",
}
# Documented in spite of their names; the one class of all of torch's batch norms.
ALLOWED = {
    "os._exit",
    "torch.utils._python_dispatch.TorchDispatchMode",
    "torch.nn.modules.batchnorm._BatchNorm",
}


def is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def find_private_uses(source: str) -> list[str]:
    """Return the private modules that a file imports, and the private attributes of others."""
    tree = ast.parse(source)
    found = [use for node in ast.walk(tree) for use in _uses_in(node) if use not in ALLOWED]
    return sorted(set(found))


def _uses_in(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if is_private(alias.name))
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if is_private(name))
    elif isinstance(node, ast.Attribute) and is_private(node.attr) and not _is_own(node.value):
        yield ast.unparse(node)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"getattr", "setattr", "hasattr"}:
        name = node.args[1]
        if isinstance(name, ast.Constant) and is_private(name.value) and not _is_own(node.args[0]):
            yield ast.unparse(node)


def _is_own(owner: ast.expr) -> bool:
    return ast.unparse(owner) in {"self", "cls", "super()", "type(self)"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from optuna.storages._rdb import models", "optuna.storages._rdb.models"),
        ("def f():\n    from ray import _private", "ray._private"),
        ("import ray._private.worker", "ray._private.worker"),
        ("x = ray._private.worker", "ray._private"),
        ("self._study._storage.x()", "self._study._storage"),
        ("trial._trial_id = 3", "trial._trial_id"),
        ("getattr(storage, '_backend', None)", "getattr(storage, '_backend', None)"),
    ],
)
def test_a_private_use_is_found(source: str, found: str) -> None:
    assert find_private_uses(source) == [found]


@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations",
        "import optuna.storages",
        "self._trials.x",
        "cls._made",
        "super()._own()",
        "os._exit(1)",
        "x.__class__",
        "getattr(self, '_x')",
        "_helper()",
    ],
)
def test_what_is_public_or_its_own_is_not_found(source: str) -> None:
    assert find_private_uses(source) == []


def test_private_names_of_others_are_used_in_their_files_only() -> None:
    files = {path.relative_to(ROOT).as_posix(): path for path in ROOT.glob("searchlab/**/*.py")}
    uses = {
        name: found
        for name, path in files.items()
        if name not in INTERNALS and (found := find_private_uses(path.read_text()))
    }
    assert uses == {}


def find_inherited_privates(kind: type) -> set[str]:
    """Return the private names that a class shares with what it inherits from Optuna or Ray."""
    bases = [base for base in kind.__mro__ if base.__module__.split(".")[0] in {"optuna", "ray"}]
    theirs = {name for base in bases for name in _private_names(base)}
    return theirs and theirs & _private_names(kind)


def _private_names(kind: type) -> set[str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return {name for name in used | defined if is_private(name)}


class Reading(optuna.samplers.TPESampler):
    def read(self) -> object:
        return self._multivariate


class Overriding(optuna.samplers.TPESampler):
    def _sample(self) -> None:
        pass


class OnlyOwn(optuna.samplers.TPESampler):
    def _of_its_own(self) -> object:
        return self.infer_relative_search_space


@pytest.mark.parametrize(
    ("kind", "found"),
    [(Reading, {"_multivariate"}), (Overriding, {"_sample"}), (OnlyOwn, set())],
)
def test_a_private_that_is_inherited_is_found(kind: type, found: set[str]) -> None:
    assert find_inherited_privates(kind) == found


def read_classes() -> Iterator[type]:
    for module in pkgutil.walk_packages(searchlab.__path__, "searchlab."):
        path = f"{module.name.replace('.', '/')}.py"
        if path in INTERNALS or module.name == "searchlab.__main__":
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(kind) and kind.__module__ == module.name:
                yield kind


def test_no_class_uses_a_private_that_it_inherits() -> None:
    found = {
        f"{kind.__module__}.{kind.__qualname__}": names
        for kind in read_classes()
        if (names := find_inherited_privates(kind))
    }
    assert found == {}
