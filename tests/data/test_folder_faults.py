"""A fault of the file system is one message with the path, and broken links can be skipped."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from picture_files import write_split_tree, write_tree

from searchlab.data import DatasetRequest, describe_dataset, get_dataset, load_dataset
from searchlab.data.unread_files import describe_unread
from searchlab.errors import InputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "pictures", per_class=5)


def ask(root: Path, *, skip_broken: bool = False) -> DatasetRequest:
    return DatasetRequest(name="folder", root=root, size=8, skip_broken=skip_broken)


def link_to_itself(root: Path) -> Path:
    (root / "loop").symlink_to("loop")
    return root / "loop"


def link_an_image_to_itself(root: Path) -> Path:
    (root / "cat" / "l.png").symlink_to("l.png")
    return root / "cat" / "l.png"


def link_to_nothing(root: Path) -> Path:
    (root / "cat" / "gone.png").symlink_to("/nowhere.png")
    return root / "cat" / "gone.png"


def link_through_a_file(root: Path) -> Path:
    (root / "cat" / "through.png").symlink_to("0.png/1.png")
    return root / "cat" / "through.png"


def link_a_class_to_nothing(root: Path) -> Path:
    (root / "dog").symlink_to("/not/mounted/dog")
    return root / "dog"


LINKS = [
    link_to_itself, link_an_image_to_itself, link_to_nothing, link_through_a_file,
    link_a_class_to_nothing,
]  # fmt: skip


@pytest.mark.parametrize("break_it", LINKS)
def test_a_link_that_leads_nowhere_is_named(break_it: Callable[[Path], Path], root: Path) -> None:
    link = break_it(root)
    with pytest.raises(InputError) as caught:
        load_dataset(ask(root), root.parent / "data")
    assert str(caught.value).startswith(f"{link} is a link that leads nowhere (")
    assert "dataset.skip_broken: true" in str(caught.value)


@pytest.mark.parametrize("break_it", LINKS)
def test_a_link_that_leads_nowhere_is_skipped_and_counted(
    break_it: Callable[[Path], Path], root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = load_dataset(ask(root), root.parent / "data")
    link = break_it(root)
    with caplog.at_level(logging.WARNING):
        data = load_dataset(ask(root, skip_broken=True), root.parent / "data")
    assert (data.num_skipped, data.fingerprint()) == (1, whole.fingerprint())
    assert f"that cannot be used: {link.relative_to(root)}" in caplog.text
    assert describe_dataset(ask(root, skip_broken=True), root.parent).num_classes == 3


class Faulty:
    """Makes looking at one path fail, as the calls of the system do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def fail_to_list(self, path: Path, number: int) -> None:
        scandir = os.scandir

        def scan(place: Path) -> object:
            if Path(place) == path:
                raise OSError(number, os.strerror(number), str(path))
            return scandir(place)

        self._monkeypatch.setattr(os, "scandir", scan)

    def fail(self, path: Path, number: int) -> None:
        error = OSError(number, os.strerror(number), str(path))
        stat, scandir = Path.stat, os.scandir

        def look(self: Path, **options: bool) -> os.stat_result:
            if self == path:
                raise error
            return stat(self, **options)

        def scan(place: Path) -> object:
            if Path(place) == path:
                raise error
            listing = scandir(place)
            return Listing(listing, path, error)

        self._monkeypatch.setattr(Path, "stat", look)
        self._monkeypatch.setattr(os, "scandir", scan)


class Listing:
    def __init__(self, listing: object, path: Path, error: OSError) -> None:
        self._listing, self._path, self._error = listing, path, error

    def __enter__(self) -> Listing:
        return self

    def __exit__(self, *_: object) -> None:
        self._listing.close()  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[object]:
        for entry in self._listing:  # type: ignore[attr-defined]
            yield Stale(entry, self._error) if Path(entry.path) == self._path else entry


class Stale:
    def __init__(self, entry: os.DirEntry[str], error: OSError) -> None:
        self.name, self.path, self._error = entry.name, entry.path, error

    def is_symlink(self) -> bool:
        return False

    def stat(self) -> None:
        raise self._error


FAULTS = [
    (errno.EACCES, "is not readable. Check its permissions"),
    (errno.ESTALE, "cannot be read (Stale file handle)"),
    (errno.EIO, "cannot be read (Input/output error)"),
    (errno.ENOTCONN, "cannot be read (Transport endpoint is not connected)"),
]


@pytest.mark.parametrize(("number", "message"), FAULTS)
@pytest.mark.parametrize("place", ["", "ant", "ant/0.png"], ids=["root", "class", "image"])
@pytest.mark.parametrize("skip_broken", [False, True], ids=["", "skipping"])
def test_a_fault_of_the_file_system_is_named_and_never_skipped(
    place: str, number: int, message: str, skip_broken: bool, root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    Faulty(monkeypatch).fail(root / place, number)
    with pytest.raises(InputError) as caught:
        load_dataset(ask(root, skip_broken=skip_broken), root.parent / "data")
    assert str(caught.value) == f"{root / place} {message}"


@pytest.mark.parametrize("act", [load_dataset, describe_dataset])
def test_whoever_looks_for_the_classes_gets_the_same_message(
    act: Callable[[DatasetRequest, Path], object], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Faulty(monkeypatch).fail(root / "bee", errno.ESTALE)
    with pytest.raises(InputError, match=r"bee cannot be read \(Stale file handle\)"):
        act(ask(root), root.parent / "data")


def test_a_data_folder_that_cannot_be_looked_into_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / get_dataset("usps").files[0]
    Faulty(monkeypatch).fail(place, errno.ESTALE)
    with pytest.raises(InputError, match=rf"{place} cannot be read \(Stale file handle\)"):
        get_dataset("usps").is_present(tmp_path)


def test_a_fault_in_what_is_not_read_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_split_tree(tmp_path / "pictures")
    (root / "extra").mkdir()
    Faulty(monkeypatch).fail_to_list(root / "extra", errno.EACCES)
    data = load_dataset(ask(root), tmp_path / "data")
    assert describe_unread(data.unread) == "1 file or folder that cannot be read (extra)"


def test_each_image_knows_its_file(root: Path, tmp_path: Path) -> None:
    link_an_image_to_itself(root)
    broken = root / "ant" / "3.png"
    broken.write_bytes(b"\x89PNG broken")
    request = ask(root, skip_broken=True)
    data = load_dataset(request, tmp_path)
    assert data.class_names == ("ant", "bee", "cat")
    everything = {*data.train_files, *data.test_files}
    assert len(everything) == len(data.train_files) + len(data.test_files) == 14
    assert "ant/3.png" not in everything
    for part in ("train", "test"):
        files, labels = getattr(data, f"{part}_files"), getattr(data, f"{part}_labels")
        assert [data.class_names.index(file.split("/")[0]) for file in files] == labels.tolist()
    reds = [int(file.split("/")[1][0]) for file in data.train_files if file.startswith("ant")]
    ants = data.train_images[data.train_labels == 0]
    assert ants[:, 0, 0, 0].tolist() == [200 + red for red in reds]
    fewer = load_dataset(replace(request, limit=6), tmp_path)
    for image, file in zip(fewer.train_images, fewer.train_files, strict=True):
        assert (image == data.train_images[data.train_files.index(file)]).all()
    assert fewer.without_files().train_files == ()
