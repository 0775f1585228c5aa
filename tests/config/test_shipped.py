"""Names of studies and spaces: one's own file first, then the one that comes with searchlab."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from searchlab.config.loading import load_study
from searchlab.config.shipped import (
    FOLDERS,
    find_space,
    find_study,
    list_names,
    shipped_files,
    shipped_root,
)
from searchlab.errors import InputError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_of_all_folders_are_shipped_but_no_pictures() -> None:
    files = shipped_files()
    assert {file.parts[0] for file in files} == set(FOLDERS)
    assert {".yaml", ".py", ".md", ".sh"} <= {file.suffix for file in files}
    assert not {".svg", ".pyc"} & {file.suffix for file in files}


@pytest.mark.parametrize("name", list_names("studies"))
def test_a_shipped_study_and_what_it_names_are_found_from_an_empty_folder(name: str) -> None:
    path = find_study(name)
    assert path == shipped_root() / "studies" / f"{name}.yaml"
    assert load_study(path).spec.name


def test_a_shipped_space_is_found_from_an_empty_folder() -> None:
    assert find_space("cnn") == shipped_root() / "spaces" / "cnn.yaml"


@pytest.mark.parametrize("own", ["quickstart", "quickstart.yaml", "studies/quickstart.yaml"])
def test_a_file_of_ones_own_wins(folder: Path, own: str) -> None:
    (folder / own).parent.mkdir(exist_ok=True)
    (folder / own).touch()
    assert find_study("quickstart") == Path(own)


def test_a_folder_of_that_name_hides_no_study(folder: Path) -> None:
    (folder / "quickstart").mkdir()
    assert find_study("quickstart").parent == shipped_root() / "studies"


def test_a_wrong_name_lists_ones_own_and_the_shipped(folder: Path) -> None:
    (folder / "studies").mkdir()
    (folder / "studies" / "mine.yaml").touch()
    with pytest.raises(InputError) as caught:
        find_study("quikstart")
    message = str(caught.value)
    assert message.startswith("quikstart is neither a file nor the name of a study. Did you mean")
    assert all(name in message for name in ("quickstart", "mine", "report-000", "fashion-mnist"))
    with pytest.raises(InputError, match=r"the name of a space\. Did you mean cnn\? Known: adv"):
        find_space("cn")


@pytest.mark.parametrize("given", ["studies/quickstart.yaml", "quickstart.yml", "../quickstart"])
def test_a_missing_path_with_a_shipped_name_says_how_to_name_that(given: str) -> None:
    with pytest.raises(InputError, match=r"does not exist\..*write quickstart alone"):
        find_study(given)


@pytest.mark.parametrize("given", ["nowhere.yaml", "studies/nowhere.yaml", "a\0b/c", "x/" * 5000])
def test_any_other_path_is_left_to_the_reader_of_the_file(given: str) -> None:
    assert find_study(given) == Path(given)


def test_a_link_that_leads_nowhere_is_a_path_not_a_name(folder: Path) -> None:
    os.symlink(folder / "gone", folder / "quickstart.yaml")  # noqa: PTH211
    with pytest.raises(InputError):
        load_study(find_study("quickstart.yaml"))
