"""searchlab data: what is listed is true, and fetching what is there does nothing."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import assert_refused, run_searchlab
from PIL import Image

from searchlab.data import get_dataset, list_datasets


def test_list_names_every_dataset_with_the_remedy_for_a_missing_one(tmp_path: Path) -> None:
    outcome = run_searchlab("data", "list", "--data-dir", tmp_path)
    assert outcome.code == 0
    rows = {line.split()[0]: line for line in outcome.out.splitlines() if line}
    assert set(list_datasets()) <= set(rows)
    assert "1x8x8" in rows["digits"]
    assert rows["digits"].endswith("yes, installed")
    assert rows["usps"].endswith("no")
    assert "searchlab data fetch NAME" in outcome.out
    assert str(tmp_path) in outcome.out


def test_list_as_json_tells_what_is_there(tmp_path: Path) -> None:
    for file in get_dataset("usps").files:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    outcome = run_searchlab("data", "list", "--data-dir", tmp_path, "--json")
    entries = {entry["name"]: entry for entry in json.loads(outcome.out)}
    assert entries["usps"]["present"]
    assert entries["usps"]["place"] == str(tmp_path)
    assert not entries["fashion_mnist"]["present"]
    assert entries["fashion_mnist"]["image_shape"] == [1, 28, 28]
    assert (entries["fashion_mnist"]["train"], entries["fashion_mnist"]["test"]) == (60_000, 10_000)
    again = run_searchlab("data", "fetch", "usps", "--data-dir", tmp_path)
    assert (again.code, again.out) == (0, f"usps: already in {tmp_path}\n")


def test_fetch_of_an_installed_dataset_has_nothing_to_do(tmp_path: Path) -> None:
    outcome = run_searchlab("data", "fetch", "digits", "--data-dir", tmp_path)
    assert outcome.code == 0
    assert "nothing to fetch" in outcome.out
    assert list(tmp_path.iterdir()) == []


def test_fetch_of_an_unknown_dataset_names_the_nearest(tmp_path: Path) -> None:
    outcome = run_searchlab("data", "fetch", "fashion-mnist", "--data-dir", tmp_path)
    assert_refused(outcome, "'fashion-mnist'", "Did you mean fashion_mnist")
    assert list(tmp_path.iterdir()) == []


def test_list_fits_eighty_columns_and_does_not_miss_the_folder(tmp_path: Path) -> None:
    outcome = run_searchlab("data", "list", "--data-dir", tmp_path)
    table = outcome.out.split("\n\n")[0].splitlines()
    assert max(map(len, table)) < 80
    rows = {line.split()[0]: line for line in table}
    assert rows["folder"].endswith("your own")
    entries = json.loads(run_searchlab("data", "list", "--data-dir", tmp_path, "--json").out)
    folder = next(entry for entry in entries if entry["name"] == "folder")
    assert (folder["image_shape"], folder["classes"], folder["train"]) == (None, None, None)
    assert folder["present"]


def test_fetch_of_the_folder_dataset_has_nothing_to_do(tmp_path: Path) -> None:
    outcome = run_searchlab("data", "fetch", "folder", "--data-dir", tmp_path)
    assert (outcome.code, outcome.out) == (
        0,
        "folder: nothing to fetch: these are your own images\n",
    )


def _write_pictures(root: Path) -> None:
    for name in ("ant", "bee"):
        for index in range(5):
            path = root / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 16), (index, 0, 0)).save(path)


def test_cache_decodes_a_folder_and_counts(tmp_path: Path) -> None:
    _write_pictures(tmp_path / "pictures")
    where = ("--root", tmp_path / "pictures", "--size", 8, "--data-dir", tmp_path / "data")
    outcome = run_searchlab("data", "cache", "folder", *where)
    assert (outcome.code, outcome.out) == (
        0,
        "folder: 8 training and 2 test images of 3x8x8 in 2 classes are ready\n",
    )
    assert any((tmp_path / "data" / ".cache").iterdir())
    again = run_searchlab("data", "cache", "folder", *where, "--json")
    assert json.loads(again.out) == {
        "name": "folder", "image_shape": [3, 8, 8], "classes": 2, "train": 8, "test": 2,
        "skipped": 0, "not_read": [],
    }  # fmt: skip


def test_cache_names_a_broken_file_and_skips_it_when_told(tmp_path: Path) -> None:
    _write_pictures(tmp_path / "pictures")
    broken = tmp_path / "pictures" / "bee" / "3.png"  # for training: the only test image is 2.png
    broken.write_text("no image")
    where = ("--root", tmp_path / "pictures", "--size", 8, "--data-dir", tmp_path / "data")
    assert_refused(run_searchlab("data", "cache", "folder", *where), str(broken), "--skip-broken")
    outcome = run_searchlab("data", "cache", "folder", *where, "--skip-broken")
    assert outcome.code == 0
    assert outcome.out.endswith("are ready; skipped: 1\n")


def test_cache_names_a_broken_link_and_skips_it_when_told(tmp_path: Path) -> None:
    _write_pictures(tmp_path / "pictures")
    link = tmp_path / "pictures" / "bee" / "gone.png"
    link.symlink_to("/nowhere.png")
    where = ("--root", tmp_path / "pictures", "--size", 8, "--data-dir", tmp_path / "data")
    assert_refused(run_searchlab("data", "cache", "folder", *where), str(link), "--skip-broken")
    outcome = run_searchlab("data", "cache", "folder", *where, "--skip-broken")
    assert outcome.out.endswith("8 training and 2 test images of 3x8x8 in 2 classes are ready; "
                                "skipped: 1\n")  # fmt: skip


def test_cache_counts_and_names_what_it_does_not_read(tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    _write_pictures(root)
    (root / "ant" / "session").mkdir()
    for index in (0, 1):
        (root / "ant" / f"{index}.png").rename(root / "ant" / "session" / f"{index}.png")
    (root / "notes.txt").write_text("no image")
    where = ("--root", root, "--size", 8, "--data-dir", tmp_path / "data")
    outcome = run_searchlab("data", "cache", "folder", *where)
    assert outcome.out.endswith("in 2 classes are ready; not read: 3\n")
    loaded = json.loads(run_searchlab("data", "cache", "folder", *where, "--json").out)
    assert loaded["not_read"] == [
        {
            "reason": "image in a subfolder of a class", "count": 2,
            "example": "ant/session/0.png",
        },
        {"reason": "file not recognised as an image", "count": 1, "example": "notes.txt"},
    ]  # fmt: skip


def test_cache_refuses_what_has_no_image_files(tmp_path: Path) -> None:
    outcome = run_searchlab("data", "cache", "digits", "--data-dir", tmp_path)
    assert_refused(outcome, "must be a dataset of image files, got 'digits'")


def test_cache_prunes_what_the_files_were_before_only_when_told(tmp_path: Path) -> None:
    _write_pictures(tmp_path / "pictures")
    where = (
        "folder",
        "--root",
        tmp_path / "pictures",
        "--size",
        8,
        "--data-dir",
        tmp_path / "data",
    )
    cache = tmp_path / "data" / ".cache"
    run_searchlab("data", "cache", *where)
    (stale,) = (path for path in cache.iterdir() if path.is_dir())
    Image.new("RGB", (16, 16)).save(tmp_path / "pictures" / "ant" / "new.png")
    run_searchlab("data", "cache", *where)
    assert stale.is_dir()
    outcome = run_searchlab("data", "cache", *where, "--prune")
    assert outcome.code == 0
    assert outcome.out.splitlines()[1:] == [f"Removed {stale} (0.0 MB)"]
    assert not stale.exists()
    again = run_searchlab("data", "cache", *where, "--prune")
    assert again.out.splitlines()[1:] == ["There was nothing outdated to remove."]
    assert (
        json.loads(run_searchlab("data", "cache", *where, "--prune", "--json").out)["removed"] == []
    )
