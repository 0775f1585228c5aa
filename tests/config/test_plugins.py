"""Plugins: what is named, how it is imported, and how a broken one is refused."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import yaml

from searchlab.config import plugins
from searchlab.config.loading import load_study
from searchlab.config.plugins import (
    load_entry_points,
    load_plugins,
    load_sources,
    loaded_digests,
    loaded_sources,
    resolve_plugins,
)
from searchlab.errors import InputError


@pytest.fixture(autouse=True)
def _forget_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what a test imports, so that the next one begins without."""
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.setattr(sys, "path", list(sys.path))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


COUNTING = "import sys\nsys.times_imported = getattr(sys, 'times_imported', 0) + 1\n"


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "times_imported", 0, raising=False)


def times_imported() -> int:
    return int(getattr(sys, "times_imported", 0))


def test_a_relative_file_is_looked_up_in_its_base_and_a_module_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_plugins(["a.py", "pkg.mod", "./a.py"]) == (str(tmp_path / "a.py"), "pkg.mod")
    assert resolve_plugins(["a.py"], base=Path("sub")) == (str(tmp_path / "sub" / "a.py"),)
    assert resolve_plugins([str(tmp_path / "b.py")], base=Path("sub")) == (str(tmp_path / "b.py"),)


@pytest.mark.parametrize("reference", ["", "a/b", "my-family", "a..b"])
def test_what_is_neither_a_file_nor_a_module_is_refused(reference: str) -> None:
    with pytest.raises(InputError, match=r"must be a Python file .* got"):
        resolve_plugins([reference])


def test_a_file_is_imported_once(tmp_path: Path, counter: None) -> None:
    path = write(tmp_path, "counting.py", COUNTING)
    assert load_plugins(["counting.py", str(path)], base=tmp_path) == (str(path),)
    load_plugins([str(path)])
    assert times_imported() == 1


def test_a_file_can_import_its_neighbour_and_hold_dataclasses(tmp_path: Path) -> None:
    write(tmp_path, "the_neighbour_of_a_plugin.py", "VALUE = 3\n")
    text = (
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from the_neighbour_of_a_plugin import VALUE\n"
        "@dataclass\nclass Point:\n    x: int = VALUE\n"
        "assert Point().x == 3\n"
        "assert __file__.endswith('plugin.py')\n"
    )
    load_plugins([str(write(tmp_path, "plugin.py", text))])


def test_files_of_one_name_in_two_folders_are_two_plugins(tmp_path: Path, counter: None) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "plugin.py", COUNTING)
    load_plugins(["a/plugin.py", "b/plugin.py"], base=tmp_path)
    assert times_imported() == 2


def test_an_installed_module_is_imported_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counter: None
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path, "an_installed_plugin.py", COUNTING)
    assert load_plugins(["an_installed_plugin"]) == ("an_installed_plugin",)
    assert times_imported() == 1


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_plugins([str(path)])
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path / "gone.py")
    assert message.startswith(f"plugin {tmp_path / 'gone.py'} does not exist. Correct the path")


def test_a_file_with_a_byte_order_mark_is_imported(tmp_path: Path, counter: None) -> None:
    (tmp_path / "marked.py").write_text("NAME = 'Größe'\n", encoding="utf-8-sig")
    load_plugins([str(tmp_path / "marked.py")])


def test_a_file_in_another_encoding_is_told_to_be_saved_as_utf_8(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("NAME = 'Größe'\n", encoding="latin-1")
    assert "is not UTF-8 text (byte 0xf6 in line 1). Save it as UTF-8" in refusal(
        tmp_path / "old.py"
    )


def test_a_syntax_error_is_named_with_its_line(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "broken.py", "x = 1\ndef f(:\n"))
    assert message.startswith(
        f"plugin {tmp_path / 'broken.py'}:2 cannot be imported: SyntaxError: "
    )


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("raise RuntimeError('no luck\\nat all')", "RuntimeError: no luck. Correct it"),
        ("1 / 0", "ZeroDivisionError: division by zero. Correct it"),
        ("raise KeyError", "KeyError. Correct it"),
        ("import sys; sys.exit(3)", "SystemExit: 3. Correct it"),
        (
            "import a_module_that_is_nowhere",
            "ModuleNotFoundError: No module named 'a_module_that_is_nowhere'. "
            "Install a_module_that_is_nowhere, or correct the import",
        ),
    ],
)
def test_what_the_users_code_raises_is_named_with_its_own_line(
    statement: str, said: str, tmp_path: Path
) -> None:
    text = f"def f():\n    {statement}\n\nf()\n"
    message = refusal(write(tmp_path, "broken.py", text))
    assert message.startswith(f"plugin {tmp_path / 'broken.py'}:2 cannot be imported: {said}")


def test_an_error_inside_a_library_is_named_at_the_plugins_line(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "broken.py", "import json\n\njson.loads('{')\n"))
    assert f"{tmp_path / 'broken.py'}:3 cannot be imported: JSONDecodeError" in message


FAMILY = """\
from torch import nn
from searchlab.models import register_family
from searchlab.models.parameters import FamilyParameters

class Parameters(FamilyParameters):
    pass

@register_family(first_conv=None)
def {name}(parameters: Parameters, *, image_shape, num_classes, dropout) -> nn.Module:
    '''One linear layer.'''
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))
"""


def test_a_family_with_a_name_of_ours_is_refused(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "mine.py", FAMILY.format(name="cnn")))
    assert f"plugin {tmp_path / 'mine.py'}:8 cannot be imported: the family" in message
    assert "'cnn' is already registered. Choose another name" in message


def test_a_dataset_with_a_name_of_ours_is_refused(tmp_path: Path) -> None:
    text = (
        "from searchlab.data.registry import register_dataset\n"
        "@register_dataset(name='digits', image_shape=(1, 8, 8), num_classes=2, num_train=1,\n"
        "                  num_test=1, summary='mine')\n"
        "def load(root): ...\n"
    )
    message = refusal(write(tmp_path, "mine.py", text))
    assert "digits" in message
    assert "Choose another name" in message


@pytest.mark.parametrize("reference", ["no_such_plugin", "no_such_package.plugin"])
def test_a_module_that_is_not_installed_is_refused(reference: str) -> None:
    with pytest.raises(InputError) as caught:
        load_plugins([reference])
    assert str(caught.value).startswith(f"plugin {reference} cannot be imported: ModuleNotFound")
    assert "give the path of its file" in str(caught.value)


def test_a_broken_module_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    path = write(tmp_path, "a_broken_plugin.py", "\nraise ValueError('bad')\n")
    with pytest.raises(InputError) as caught:
        load_plugins(["a_broken_plugin"])
    assert str(caught.value).startswith(
        f"plugin a_broken_plugin: {path}:2 cannot be imported: ValueError: bad"
    )


def test_a_file_that_failed_is_tried_again(tmp_path: Path, counter: None) -> None:
    path = write(tmp_path, "plugin.py", "oops\n")
    refusal(path)
    path.write_text(COUNTING)
    load_plugins([str(path)])
    assert times_imported() == 1


def install(folder: Path, module: str, text: str) -> None:
    """Lay out what an installed package with an entry point looks like."""
    write(folder, f"{module}.py", text)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{plugins.ENTRY_POINTS}]\nmine = {module}\n")


def test_an_installed_package_is_loaded_by_its_entry_point_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counter: None
) -> None:
    install(tmp_path, "package_with_a_plugin", COUNTING)
    monkeypatch.syspath_prepend(tmp_path)
    load_entry_points()
    load_plugins([])
    assert times_imported() == 1


def test_a_broken_installed_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "package_with_a_fault", "1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError) as caught:
        load_entry_points()
    message = str(caught.value)
    assert message.startswith(f"plugin package_with_a_fault: {tmp_path}")
    assert "uninstall its package (package_with_a_fault)" in message


def test_another_process_imports_what_was_run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counter: None
) -> None:
    path = write(tmp_path, "plugin.py", COUNTING)
    sources = loaded_sources(load_plugins([str(path)]))
    path.write_text("raise RuntimeError('edited since')\n")
    monkeypatch.setattr(plugins, "_loaded", {})  # as in a new process
    load_sources(sources)
    load_sources(sources)
    assert times_imported() == 2


def digest_in_a_new_process(reference: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(plugins, "_loaded", {})
    for name in [name for name in sys.modules if name.partition(".")[0] == reference]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    return loaded_digests(load_plugins([reference]))[reference]


def test_a_digest_changes_with_the_source_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "plugin.py", "a = 1\n")
    first = digest_in_a_new_process(str(path), monkeypatch)
    path.write_text("a = 2\n")
    assert loaded_digests([str(path)]) == {str(path): first}, "what was run, not what is there now"
    assert digest_in_a_new_process(str(path), monkeypatch) != first
    path.write_text("a = 1\n")
    assert digest_in_a_new_process(str(path), monkeypatch) == first


def test_a_packages_digest_covers_its_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "digested_package" / "inner").mkdir(parents=True)
    write(tmp_path / "digested_package", "__init__.py", "from digested_package import one\n")
    write(tmp_path / "digested_package", "one.py", "a = 1\n")
    first = digest_in_a_new_process("digested_package", monkeypatch)
    assert digest_in_a_new_process("digested_package", monkeypatch) == first
    write(tmp_path / "digested_package" / "inner", "two.py", "")
    assert digest_in_a_new_process("digested_package", monkeypatch) != first


STUDY = {
    "name": "s",
    "dataset": "digits",
    "space": {"parameters": {"family": "fcn"}},
    "search": {"trials": 1},
}


def test_a_study_file_names_its_plugins_and_none_is_imported_by_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counter: None
) -> None:
    (tmp_path / "studies").mkdir()
    path = tmp_path / "studies" / "s.yaml"
    path.write_text(yaml.safe_dump({**STUDY, "plugins": ["mine.py", "pkg.mod"]}))
    write(tmp_path / "studies", "mine.py", COUNTING)
    monkeypatch.chdir(tmp_path)
    own = (str(tmp_path / "studies" / "mine.py"), "pkg.mod")
    assert load_study(path).spec.plugins == own
    assert load_study(path, plugins=["more.py", "studies/mine.py"]).spec.plugins == (
        *own,
        str(tmp_path / "more.py"),
    )
    assert load_study(path, ["plugins=[other.py]"]).spec.plugins == (str(tmp_path / "other.py"),)
    assert times_imported() == 0


def test_a_study_without_plugins_does_not_write_the_field(tmp_path: Path) -> None:
    path = write(tmp_path, "s.yaml", yaml.safe_dump(STUDY))
    assert "plugins" not in load_study(path).spec.to_data()
