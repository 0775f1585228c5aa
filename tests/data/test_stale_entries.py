"""Pruning the cache of images: what no tree has any more goes, and nothing else."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import filelock
import pytest
from picture_files import write_picture, write_split_tree

from searchlab.config.dataset import Fit
from searchlab.data import DatasetRequest, decoding, load_dataset, prune_cache
from searchlab.data.image_cache import lock_path

SIZE = 8


def ask(
    root: Path, *, skip_broken: bool = False, size: int = SIZE, fit: Fit = "crop"
) -> DatasetRequest:
    return DatasetRequest(name="folder", root=root, size=size, fit=fit, skip_broken=skip_broken)


@pytest.fixture(autouse=True)
def user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return tmp_path / "user" / "searchlab" / "images"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_split_tree(tmp_path / "pictures")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def entries(data_dir: Path) -> set[Path]:
    return {path for path in (data_dir / ".cache").iterdir() if path.is_dir()}


def decode(request: DatasetRequest, data_dir: Path) -> Path:
    """Load a request that is not in the cache; return its entry."""
    before = entries(data_dir) if data_dir.exists() else set()
    load_dataset(request, data_dir)
    (made,) = entries(data_dir) - before
    return made


def change(root: Path) -> None:
    write_picture(root / "train" / "ant" / "new.png")


def count_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_entries_of_an_older_tree_are_removed_and_told_of(root: Path, data_dir: Path) -> None:
    stale = decode(ask(root), data_dir)
    num_bytes = count_bytes(stale)
    change(root)
    fresh = decode(ask(root), data_dir)
    (removed,) = prune_cache(ask(root), data_dir)
    assert (removed.path, removed.num_bytes) == (stale, num_bytes)
    assert num_bytes > 18 * 3 * SIZE * SIZE
    assert entries(data_dir) == {fresh}
    assert prune_cache(ask(root), data_dir) == ()


def test_what_matches_is_kept_whether_broken_files_are_skipped_or_not(
    root: Path, data_dir: Path
) -> None:
    kept = {decode(ask(root, skip_broken=skip), data_dir) for skip in (False, True)}
    assert prune_cache(ask(root), data_dir) == ()
    assert entries(data_dir) == kept


def test_other_sizes_and_other_roots_of_the_same_name_are_left_alone(
    root: Path, data_dir: Path, tmp_path: Path
) -> None:
    namesake = write_split_tree(tmp_path / "elsewhere" / root.name)
    others = {decode(ask(root, size=12), data_dir), decode(ask(namesake), data_dir)}
    others.add(decode(ask(root, fit="pad"), data_dir))
    stale = decode(ask(root), data_dir)
    for tree in (root, namesake):
        change(tree)
    assert [entry.path for entry in prune_cache(ask(root), data_dir)] == [stale]
    assert entries(data_dir) == others


def test_a_folder_that_does_not_say_where_it_is_from_is_left_alone(
    root: Path, data_dir: Path
) -> None:
    stale = decode(ask(root), data_dir)
    (stale / "source.json").unlink()
    (data_dir / ".cache" / "mine").mkdir()
    change(root)
    assert prune_cache(ask(root), data_dir) == ()
    assert stale.is_dir()


def test_what_a_killed_process_left_is_removed(
    root: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(path: Path, size: int, **_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(decoding, "decode_image", die)
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            load_dataset(ask(root), data_dir)
    (left,) = entries(data_dir)
    assert left.name.endswith(".partial")
    change(root)
    assert [entry.path for entry in prune_cache(ask(root), data_dir)] == [left]
    assert entries(data_dir) == set()


def test_an_entry_that_is_being_made_is_left_alone(
    root: Path, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    busy = decode(ask(root), data_dir)
    change(root)
    with filelock.FileLock(lock_path(busy)), caplog.at_level(logging.WARNING):
        assert prune_cache(ask(root), data_dir) == ()
    assert ": another process is making it" in caplog.text
    assert busy.is_dir()


def test_an_entry_that_cannot_be_removed_is_told_of_and_the_rest_goes(
    root: Path, data_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = decode(ask(root), data_dir)
    change(root)
    second = decode(ask(root), data_dir)
    (root / "train" / "ant" / "new.png").unlink()
    write_picture(root / "train" / "bee" / "new.png")
    stuck, free = sorted((first, second))
    original = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path == stuck:
            raise PermissionError(13, "Permission denied")
        return original(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with caplog.at_level(logging.WARNING):
        assert [entry.path for entry in prune_cache(ask(root), data_dir)] == [free]
    assert f"{stuck} cannot be removed (Permission denied)" in caplog.text


def test_the_users_cache_is_pruned_as_well(root: Path, tmp_path: Path, user_cache: Path) -> None:
    (tmp_path / "file").write_text("")
    data_dir = tmp_path / "file" / "data"
    load_dataset(ask(root), data_dir)
    (stale,) = (path for path in user_cache.iterdir() if path.is_dir())
    change(root)
    assert [entry.path for entry in prune_cache(ask(root), data_dir)] == [stale]


def test_a_dataset_without_image_files_has_nothing_to_prune(data_dir: Path) -> None:
    assert prune_cache(DatasetRequest(name="digits"), data_dir) == ()
