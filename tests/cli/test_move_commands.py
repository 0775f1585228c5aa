"""``searchlab study export | import | delete``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import optuna
import pytest
from filelock import FileLock
from toy_runs import invoke, make_toy

from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage, sqlite_url


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("SEARCHLAB_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("SEARCHLAB_STORAGE", raising=False)
    return make_toy(tmp_path / "runs")


@pytest.fixture
def shared(run: RunFolder, tmp_path: Path) -> RunFolder:
    """A run recorded in a storage that holds somebody else's study too."""
    url = sqlite_url(tmp_path / "shared.db")
    shutil.rmtree(run.path)
    shared = make_toy(tmp_path / "runs", url)
    optuna.create_study(storage=open_storage(url), study_name="theirs")
    return shared


def names_in(url: str) -> list[str]:
    return optuna.get_all_study_names(url)


# Export and import


def test_exported_and_imported_study_has_the_same_leaderboard(
    run: RunFolder, tmp_path: Path
) -> None:
    exported = invoke("study", "export", "toy", tmp_path / "toy.zip")
    assert "Exported toy: 3 trials (2 COMPLETE, 1 RUNNING)" in exported.stdout
    assert "1 artifacts" in exported.stdout
    imported = invoke("study", "import", tmp_path / "toy.zip", "--name", "again")
    assert "searchlab study leaderboard again\n" in imported.stdout
    boards = [
        json.loads(invoke("study", "leaderboard", name, "--all", "--json").stdout)
        for name in ("toy", "again")
    ]
    assert boards[0]["trials"] == boards[1]["trials"]


def test_export_and_import_print_json(run: RunFolder, tmp_path: Path) -> None:
    path = tmp_path / "toy.zip"
    exported = json.loads(invoke("study", "export", "toy", path, "--json").stdout)
    assert exported["bytes"] == path.stat().st_size
    assert (exported["trials"], exported["artifacts"], exported["left_out"]) == (3, 1, [])
    imported = invoke("study", "import", path, "--runs-dir", tmp_path / "b", "--json")
    assert json.loads(imported.stdout) == {
        "study": "toy",
        "trials": 3,
        "states": {"COMPLETE": 2, "RUNNING": 1},
        "run": str(tmp_path / "b" / "toy"),
        "artifacts": 1,
    }


def test_export_overwrites_only_when_forced(run: RunFolder, tmp_path: Path) -> None:
    path = tmp_path / "toy.zip"
    path.write_text("mine")
    refused = invoke("study", "export", "toy", path, fails=True)
    assert refused.exit_code == 2
    assert path.read_text() == "mine"
    invoke("study", "export", "toy", path, "--force")
    invoke("study", "import", path, "--name", "again")


@pytest.mark.parametrize("place", ["none/toy.zip", "runs"])
def test_export_needs_a_place_for_the_file(place: str, run: RunFolder, tmp_path: Path) -> None:
    refused = invoke("study", "export", "toy", tmp_path / place, "--force", fails=True)
    assert refused.exit_code == 2


def test_import_into_a_storage_notes_it(run: RunFolder, tmp_path: Path) -> None:
    invoke("study", "export", "toy", tmp_path / "toy.zip")
    url = sqlite_url(tmp_path / "other.db")
    invoke("study", "import", tmp_path / "toy.zip", "--name", "again", "--storage", url)
    assert RunFolder(run.path.parent / "again").storage_url() == url
    assert names_in(url) == ["again"]


def test_import_of_a_run_that_is_there_is_refused(run: RunFolder, tmp_path: Path) -> None:
    invoke("study", "export", "toy", tmp_path / "toy.zip")
    refused = invoke("study", "import", tmp_path / "toy.zip", fails=True)
    assert refused.exit_code == 2
    assert "already exists" in str(refused.exception)


# Delete


def test_delete_takes_the_run_and_a_second_time_says_there_is_none(run: RunFolder) -> None:
    invoke("study", "status", "toy")  # leaves SQLite's files beside the database
    assert "Deleted toy" in invoke("study", "delete", "toy", "--yes").stdout
    assert not run.path.exists()
    refused = invoke("study", "delete", "toy", "--yes", fails=True)
    assert refused.exit_code == 2
    assert "is not a run folder" in str(refused.exception)


def test_delete_takes_its_study_alone_from_a_shared_storage(
    shared: RunFolder, tmp_path: Path
) -> None:
    url = sqlite_url(tmp_path / "shared.db")
    shared.diagnostics.mkdir(parents=True)
    (shared.diagnostics / "errors-1.json").touch()
    (shared.models / "trial-00001-held-out.safetensors").touch()
    gone = invoke("study", "delete", "toy", "--yes", "--json")
    assert json.loads(gone.stdout) == {"study": "toy", "storage": url, "left": []}
    assert names_in(url) == ["theirs"]
    assert not shared.path.exists()


def test_delete_leaves_another_study_in_the_runs_own_database(run: RunFolder) -> None:
    optuna.create_study(storage=open_storage(run.storage_url()), study_name="theirs")
    gone = json.loads(invoke("study", "delete", "toy", "--yes", "--json").stdout)
    assert str(run.database) in gone["left"]
    assert names_in(sqlite_url(run.database)) == ["theirs"]


def test_delete_leaves_and_names_what_is_not_its_own(run: RunFolder, tmp_path: Path) -> None:
    mine = [run.path / "notes.txt", run.models / "mine.bin"]
    for path in mine:
        path.write_text("mine")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "trial-00001.safetensors").write_text("keep")
    run.checkpoints.symlink_to(tmp_path / "outside")
    gone = invoke("study", "delete", "toy", "--yes")
    assert f"kept (not written by searchlab): {run.checkpoints}" in gone.stderr
    for path in mine:
        assert path.read_text() == "mine"
        assert f"kept (not written by searchlab): {path}" in gone.stderr
    assert not run.study_file.exists()
    assert (tmp_path / "outside" / "trial-00001.safetensors").read_text() == "keep"


def test_delete_asks_or_needs_yes(run: RunFolder) -> None:
    refused = invoke("study", "delete", "toy", fails=True)
    assert refused.exit_code == 2
    assert "--yes must be given" in str(refused.exception)
    assert run.database.is_file()


@pytest.mark.parametrize(("answer", "stays"), [("y\n", False), ("n\n", True), ("", True)])
def test_delete_asks_on_a_terminal(
    answer: str, stays: bool, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("searchlab.cli.study_move._can_ask", lambda: True)
    asked = invoke("study", "delete", "toy", fails=stays, stdin=answer)
    assert f"Delete {run.path}/ and its study in sqlite:///" in asked.stderr
    assert run.exists() == stays


def test_delete_refuses_while_a_driver_runs_it(run: RunFolder) -> None:
    with FileLock(run.lock_file):
        refused = invoke("study", "delete", "toy", "--yes", fails=True)
    assert refused.exit_code == 2
    assert "is being run by another process" in str(refused.exception)
    assert run.database.is_file()


def test_nothing_is_deleted_while_the_storage_cannot_be_reached(
    shared: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "shared.db").rename(tmp_path / "away.db")
    (tmp_path / "shared.db").mkdir()
    refused = invoke("study", "delete", "toy", "--yes", fails=True)
    assert refused.exit_code in (2, 3)
    assert shared.exists()
    assert (shared.models / "trial-00001.safetensors").is_file()


def test_nothing_is_deleted_where_another_storage_is_named(
    run: RunFolder, shared: RunFolder, tmp_path: Path
) -> None:
    wrong = sqlite_url(tmp_path / "wrong.db")
    refused = invoke("study", "delete", "toy", "--yes", "--storage", wrong, fails=True)
    assert "holds no study named toy" in str(refused.exception)
    assert shared.exists()


def test_run_of_its_own_database_is_not_sought_elsewhere(run: RunFolder, tmp_path: Path) -> None:
    """SEARCHLAB_STORAGE may be set for other studies, one of them of this name."""
    url = sqlite_url(tmp_path / "elsewhere.db")
    optuna.create_study(storage=open_storage(url), study_name="toy")
    refused = invoke("study", "delete", "toy", "--yes", "--storage", url, fails=True)
    assert "recorded in its own folder" in str(refused.exception)
    assert names_in(url) == ["toy"]
    assert run.exists()


def test_nothing_is_deleted_if_the_file_names_another_study(run: RunFolder) -> None:
    edited = run.study_file.read_text().replace("name: toy", "name: joy")
    run.study_file.write_text(edited)
    refused = invoke("study", "delete", "toy", "--yes", fails=True)
    assert "names the study joy, but the one that was begun here is toy" in str(refused.exception)
    assert run.study_file.read_text() == edited
    assert (run.models / "trial-00001.safetensors").is_file()


def test_a_file_that_cannot_be_deleted_is_named(run: RunFolder) -> None:
    (run.path / "report.html").mkdir()
    refused = invoke("study", "delete", "toy", "--yes", fails=True)
    assert refused.exit_code == 3
    assert "report.html cannot be deleted: Is a directory" in str(refused.exception)
    (run.path / "report.html").rmdir()
    invoke("study", "delete", "toy", "--yes")
    assert not run.path.exists()


def test_keep_storage_deletes_the_folder_only(shared: RunFolder, tmp_path: Path) -> None:
    invoke("study", "delete", "toy", "--yes", "--keep-storage")
    assert not shared.path.exists()
    assert set(names_in(sqlite_url(tmp_path / "shared.db"))) == {"toy", "theirs"}


def test_keep_storage_is_refused_where_the_storage_lies_in_the_folder(run: RunFolder) -> None:
    refused = invoke("study", "delete", "toy", "--yes", "--keep-storage", fails=True)
    assert refused.exit_code == 2
    assert run.database.is_file()


def test_deletion_that_was_cut_off_is_finished(shared: RunFolder, tmp_path: Path) -> None:
    optuna.delete_study(study_name="toy", storage=sqlite_url(tmp_path / "shared.db"))
    refused = invoke("study", "delete", "toy", "--yes", fails=True)
    assert "holds no study named toy" in str(refused.exception)
    (shared.path / ".deleting").touch()  # what a killed deletion leaves
    invoke("study", "delete", "toy", "--yes")
    assert not shared.path.exists()


def test_killed_before_its_study_was_made_can_be_deleted(run: RunFolder) -> None:
    run.database.unlink()
    invoke("study", "delete", "toy", "--yes")
    assert not run.path.exists()
