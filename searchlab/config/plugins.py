"""Plugins: the user's own Python files and modules, which register families and datasets.

Importing a plugin runs its decorators, which register its families and datasets. It runs the
plugin's code, so only running a study or checking a space imports plugins; reading a recorded study
never does.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from searchlab.config.relative_paths import absolute_path
from searchlab.config.text_files import read_text
from searchlab.errors import InputError

__all__ = [
    "ENTRY_POINTS",
    "find_plugin_file",
    "load_entry_points",
    "load_plugins",
    "load_sources",
    "loaded_digests",
    "loaded_sources",
    "resolve_plugins",
]

logger = logging.getLogger(__name__)

ENTRY_POINTS = "searchlab.plugins"
"""The group of entry points by which installed packages are plugins without being named."""

_MAX_BYTES = 8 * 2**20  # of a file; what is longer is no source code
_MODULE_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """An imported plugin: a file's source as it was run, None for a module."""

    source: str | None
    digest: str
    module: ModuleType | None = None


_loaded: dict[str, _Loaded] = {}


def resolve_plugins(references: Iterable[str], *, base: Path | None = None) -> tuple[str, ...]:
    """Return each reference once, in order: files as absolute paths, modules by name.

    A relative path starts at ``base``, by default the current folder. Nothing is read or imported.
    Raises ``InputError`` if a reference is neither a ``.py`` file nor a module's name.
    """
    resolved: dict[str, None] = {}
    for reference in references:
        if reference.endswith(".py"):
            resolved[absolute_path(reference, base or Path.cwd())] = None
        elif _MODULE_NAME.fullmatch(reference):
            resolved[reference] = None
        else:
            raise InputError(
                "must be a Python file (*.py) or the dotted name of an installed module",
                where="plugin",
                found=reference,
            )
    return tuple(resolved)


def load_plugins(references: Iterable[str], *, base: Path | None = None) -> tuple[str, ...]:
    """Import installed plugins, then these, each once per process. Returns them resolved.

    Relative paths start at ``base``. Raises ``InputError`` if a plugin does not exist or cannot be
    imported, with its line and the reason.
    """
    resolved = resolve_plugins(references, base=base)
    load_entry_points()
    for reference in resolved:
        if reference not in _loaded:
            _import(reference, _read(reference) if reference.endswith(".py") else None)
    return resolved


def load_entry_points() -> None:
    """Import the plugins of installed packages (``searchlab.plugins``), once per process."""
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        key = f"entry point {point.name}: {point.value}"
        if key not in _loaded:
            remedy = "Correct or uninstall its package"
            with _explained(point.value, remedy=f"{remedy} ({point.dist and point.dist.name})"):
                point.load()
            _loaded[key] = _Loaded(source=None, digest="")


def loaded_sources(references: Iterable[str]) -> dict[str, str | None]:
    """Return the sources as they were run here, for ``load_sources`` in other processes.

    So workers on other machines need no copy of a file, and editing a file while its study runs
    does not change the study's later trials.
    """
    return {reference: _loaded[reference].source for reference in references}


def loaded_digests(references: Iterable[str]) -> dict[str, str]:
    """Return 16 hex digits for each, a digest of its source when it was imported here.

    A package's digest covers all its Python files. Modules that a plugin imports do not count.
    """
    return {reference: _loaded[reference].digest for reference in references}


def load_sources(sources: Mapping[str, str | None]) -> None:
    """Import installed plugins and what ``loaded_sources`` returned in another process."""
    load_entry_points()
    for reference, source in sources.items():
        if reference not in _loaded:
            _import(reference, source)


def find_plugin_file(name: str) -> ModuleType | None:
    """Return the loaded plugin whose file is ``name``.py; None if there is none.

    Raises InputError if there are several.
    """
    found = [path for path in _loaded if path.endswith(".py") and Path(path).stem == name]
    if len(found) > 1:
        raise InputError(
            f"{name} is the name of several files: {', '.join(found)}",
            where="plugins",
            remedy="Rename one of them",
        )
    return _loaded[found[0]].module if found else None


def _read(reference: str) -> str:
    return read_text(
        Path(reference),
        most_bytes=_MAX_BYTES,
        where=f"plugin {reference}",
        if_missing="Correct the path: --plugin, or `plugins` in the study file",
    )


def _import(reference: str, source: str | None) -> None:
    """Import a module by name, or a file by its source."""
    if source is None:
        with _explained(reference):
            module = importlib.import_module(reference)
        digest = _digest(*_read_module(module))
    else:
        module = _run_file(Path(reference), source)
        digest = _digest(source.encode())
    _loaded[reference] = _Loaded(source=source, digest=digest, module=module)


def _digest(*contents: bytes) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for content in contents:
        digest.update(f"{len(content)}|".encode() + content)
    return digest.hexdigest()


def _read_module(module: ModuleType) -> Iterator[bytes]:
    """Yield the names and contents of the files of a module or package."""
    for folder in sorted(getattr(module, "__path__", ())):
        for path in sorted(Path(folder).rglob("*.py")):
            yield path.relative_to(folder).as_posix().encode()
            yield path.read_bytes()
    file = getattr(module, "__file__", None)
    if file is not None and Path(file).is_file():
        yield Path(file).read_bytes()


def _run_file(path: Path, source: str) -> ModuleType:
    """Run a file as a module under a unique name; it can import modules beside it."""
    digest = hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()
    module = ModuleType(f"searchlab_plugin_{path.stem}_{digest}")
    module.__file__ = str(path)
    # Last, so that no file beside the plugin shadows an installed package.
    if (folder := str(path.parent)) not in sys.path:
        sys.path.append(folder)
    # Dataclasses, pydantic and pickle look up their module by name.
    sys.modules[module.__name__] = module
    with ExitStack() as on_failure:
        on_failure.callback(sys.modules.pop, module.__name__)
        with _explained(str(path)):
            exec(compile(source, str(path), "exec"), module.__dict__)
        on_failure.pop_all()
    return module


@contextmanager
def _explained(reference: str, *, remedy: str | None = None) -> Iterator[None]:
    """Turn an error in importing a plugin into one message with the line that raised it."""
    try:
        yield
    # User code may raise anything; SystemExit comes from a script that ends with sys.exit().
    except (Exception, SystemExit) as error:
        logger.debug("importing the plugin %s failed", reference, exc_info=error)
        raise InputError(
            f"cannot be imported: {_describe(error)}",
            where=f"plugin {_find_place(error, reference)}",
            remedy=remedy or _choose_remedy(error, reference),
        ) from error


def _describe(error: BaseException) -> str:
    if isinstance(error, InputError):
        return str(InputError(error.rule, where=error.where, found=error.found))
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    first_line = (text.strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}".removesuffix(": ")


def _find_place(error: BaseException, reference: str) -> str:
    """Return ``file:line`` of the last line of the user's code that ran, else the reference."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    if reference.endswith(".py"):
        own = [frame for frame in frames if frame.filename == reference]
    else:
        ours = str(Path(__file__).parents[1])
        own = [frame for frame in frames if not frame.filename.startswith(("<frozen", ours))]
        own = [frame for frame in own if "importlib" not in Path(frame.filename).parts]
        if not own:
            return reference
        reference = f"{reference}: {own[-1].filename}"
    return f"{reference}:{own[-1].lineno}" if own else reference


def _choose_remedy(error: BaseException, reference: str) -> str:
    if isinstance(error, ModuleNotFoundError):
        if error.name and (reference == error.name or reference.startswith(f"{error.name}.")):
            return "Install the package, or give the path of its file: path/plugin.py"
        return f"Install {error.name}, or correct the import"
    if isinstance(error, InputError) and error.remedy:
        return error.remedy
    return "Correct it; searchlab -vv shows the whole traceback"
