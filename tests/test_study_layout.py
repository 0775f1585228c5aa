"""Within the study layer: what keeps, proposes and moves trials knows nothing of their course."""

from __future__ import annotations

from test_layers import Module, parse_module, read_modules

STUDY = "searchlab.study"
# The words in which a trial is recorded and a run's folder is named; all may use them.
SHARED = {f"{STUDY}.trial_record", f"{STUDY}.run_folder"}


def find_imports_of_the_course(modules: dict[str, Module]) -> list[str]:
    """Name each import, in a folder of the study layer, of a module above the folders."""
    top = {name for name in modules if name.rpartition(".")[0] == STUDY}
    top -= {name for name in top if modules[name].is_package} | SHARED
    return [
        f"{module.name}:{found.line} imports {found.target}"
        for module in modules.values()
        if module.name.startswith(f"{STUDY}.")
        and module.name.count(".") > 2
        and ".preparation." not in module.name
        for found in module.imports
        if found.target in top or found.target.rpartition(".")[0] in top
    ]


def test_the_folders_of_the_study_layer_do_not_know_its_course() -> None:
    assert find_imports_of_the_course(read_modules()) == []


def test_such_an_import_is_found() -> None:
    name, source = f"{STUDY}.locks.planted", f"from {STUDY}.ledger import Ledger"
    modules = {**read_modules(), name: parse_module(name, source)}
    assert find_imports_of_the_course(modules) == [f"{name}:1 imports {STUDY}.ledger.Ledger"]
