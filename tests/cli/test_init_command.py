"""``searchlab init``: what it lays out, and that it never takes anybody's file."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import assert_refused, run_searchlab

from searchlab.config.loading import load_study
from searchlab.config.shipped import find_study, shipped_files, shipped_root

QUICKSTART = Path("studies") / "quickstart.yaml"


def read_tree(folder: Path) -> dict[Path, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder): path.read_bytes() for path in found}


@pytest.fixture
def laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert run_searchlab("init").code == 0
    return tmp_path


def test_it_lays_out_what_is_shipped_and_a_study_runs_by_name_from_there(laid_out: Path) -> None:
    root = shipped_root()
    assert read_tree(laid_out) == {
        Path(file): (root / file).read_bytes() for file in shipped_files()
    }
    assert find_study("quickstart") == QUICKSTART
    assert load_study(QUICKSTART).spec.name == "quickstart"
    plugins = load_study(Path("examples") / "my_dataset.yaml").spec.plugins
    assert plugins == tuple(
        str(laid_out / "examples" / name) for name in ("my_dataset.py", "my_family.py")
    )


def test_it_makes_the_folder_and_says_in_three_lines_what_is_next(tmp_path: Path) -> None:
    outcome = run_searchlab("init", tmp_path / "my demo" / "deep")
    assert (outcome.code, outcome.err) == (0, "")
    assert (tmp_path / "my demo" / "deep" / QUICKSTART).is_file()
    _, steps = outcome.out.split("Next:\n")
    first, *others = steps.splitlines()
    assert first.startswith(f"  cd '{tmp_path / 'my demo' / 'deep'}' && searchlab study run quick")
    assert len(others) == 2


def test_run_again_it_adds_what_is_missing_and_touches_nothing_else(laid_out: Path) -> None:
    before = read_tree(laid_out)
    times = {path: (laid_out / path).stat().st_mtime_ns for path in before}
    (laid_out / QUICKSTART).unlink()
    outcome = run_searchlab("init", laid_out)
    assert outcome.code == 0
    assert f"Wrote 1 file into studies/, spaces/, examples/ of {laid_out}/" in outcome.out
    assert f"{len(before) - 1} files were there already" in outcome.out
    assert read_tree(laid_out) == before
    others = times.keys() - {QUICKSTART}
    assert {path: (laid_out / path).stat().st_mtime_ns for path in others} == {
        path: times[path] for path in others
    }


def test_it_names_the_files_that_differ_and_writes_nothing(laid_out: Path) -> None:
    (laid_out / QUICKSTART).write_text("name: mine\n")
    (laid_out / "spaces" / "cnn.yaml").write_text("")
    (laid_out / "spaces" / "mlp.yaml").unlink()
    before = read_tree(laid_out)
    outcome = run_searchlab("init", laid_out)
    mine = [f"{laid_out / path} is there already" for path in (QUICKSTART, "spaces/cnn.yaml")]
    assert_refused(outcome, *mine, "Nothing was written", "searchlab init DIR")
    assert outcome.err.count("\n") == 2
    assert read_tree(laid_out) == before


def test_what_is_no_folder_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "examples").touch()
    (tmp_path / "studies").symlink_to(tmp_path / "gone")
    outcome = run_searchlab("init", tmp_path)
    assert_refused(
        outcome, *(f"{tmp_path / name} is not a folder" for name in ("examples", "studies"))
    )
    assert outcome.err.count("\n") == 2
    assert len(list(tmp_path.iterdir())) == 2
    assert_refused(run_searchlab("init", tmp_path / "examples"), "examples is not a folder")


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / QUICKSTART).symlink_to(tmp_path / "gone.yaml")
    assert_refused(run_searchlab("init", tmp_path), "quickstart.yaml is there already")
    assert not (tmp_path / "gone.yaml").exists()


def test_a_place_that_cannot_be_written_is_named() -> None:
    assert_refused(run_searchlab("init", "/proc/demo"), "/proc/demo", "cannot be written", "DIR")
