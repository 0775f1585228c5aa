"""Image files are decoded once; what is kept is found again, checked, and never half there."""

from __future__ import annotations

import errno
import json
import logging
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import write_picture, write_split_tree
from PIL import Image

from searchlab.data import (
    ChannelSums,
    DatasetRequest,
    ImageData,
    decoding,
    image_cache,
    load_dataset,
)
from searchlab.data.unread_files import describe_unread
from searchlab.errors import InputError

SIZE = 8


def load(root: Path, data_dir: Path, *, skip_broken: bool = False, size: int = SIZE) -> ImageData:
    request = DatasetRequest(name="folder", root=root, size=size, skip_broken=skip_broken)
    return load_dataset(request, data_dir)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_split_tree(tmp_path / "pictures")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files decoded so far."""
    files: list[Path] = []
    original = decoding.decode_image

    def count(path: Path, size: int, **how: Any) -> decoding.DecodedImage:
        files.append(path)
        return original(path, size, **how)

    monkeypatch.setattr(decoding, "decode_image", count)
    return files


def entries(data_dir: Path) -> list[Path]:
    return sorted(path for path in (data_dir / ".cache").iterdir() if path.is_dir())


def test_images_are_decoded_once(root: Path, data_dir: Path, decoded: list[Path]) -> None:
    first = load(root, data_dir)
    assert len(decoded) == len(set(decoded)) == 18
    again = load(root, data_dir)
    assert len(decoded) == 18
    assert again.fingerprint() == first.fingerprint()
    assert again.train_images[:4, 0, 0, 0].tolist() == [200, 201, 202, 203]
    assert again.train_labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_images_are_mapped_read_only_and_plain_arrays(root: Path, data_dir: Path) -> None:
    images = load(root, data_dir).train_images
    assert type(images) is np.ndarray  # a memmap would be copied by Ray
    assert not images.flags.owndata
    assert not images.flags.writeable


def change_content(root: Path) -> None:
    write_picture(root / "train" / "ant" / "0.png", (1, 2, 3), side=32)


def touch(root: Path) -> None:
    os.utime(root / "train" / "ant" / "0.png", ns=(1, 1))


def add_file(root: Path) -> None:
    write_picture(root / "test" / "cat" / "new.png")


@pytest.mark.parametrize("change", [change_content, touch, add_file])
def test_a_changed_file_is_seen(
    change: Callable[[Path], None], root: Path, data_dir: Path, decoded: list[Path]
) -> None:
    load(root, data_dir)
    decoded.clear()
    change(root)
    load(root, data_dir)
    assert len(decoded) >= 18


def test_each_size_has_its_own_entry(root: Path, data_dir: Path) -> None:
    assert load(root, data_dir, size=8).image_shape == (3, 8, 8)
    assert load(root, data_dir, size=12).image_shape == (3, 12, 12)
    assert len(entries(data_dir)) == 2


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip, empty, Path.unlink])
@pytest.mark.parametrize("file", ["train_images.npy", "test_labels.npy", "index.json"])
def test_a_damaged_entry_is_decoded_again(
    file: str, damage: Callable[[Path], None], root: Path, data_dir: Path, decoded: list[Path]
) -> None:
    before = load(root, data_dir).fingerprint()
    decoded.clear()
    (entry,) = entries(data_dir)
    damage(entry / file)
    assert load(root, data_dir).fingerprint() == before
    assert len(decoded) == 18
    load(root, data_dir)
    assert len(decoded) == 18


def test_what_a_killed_process_left_is_replaced(root: Path, data_dir: Path) -> None:
    before = load(root, data_dir).fingerprint()
    (entry,) = entries(data_dir)
    entry.rename(entry.with_name(f"{entry.name}.partial"))
    (entry.with_name(f"{entry.name}.partial") / "train_images.npy").write_bytes(b"half")
    assert load(root, data_dir).fingerprint() == before
    assert entries(data_dir) == [entry]


def _load_at_once(
    root: Path, data_dir: Path, barrier: object, queue: multiprocessing.Queue[tuple[str, int]]
) -> None:
    count = 0
    original = decoding.decode_image

    def counting(path: Path, size: int, **how: Any) -> decoding.DecodedImage:
        nonlocal count
        count += 1
        return original(path, size, **how)

    decoding.decode_image = counting
    barrier.wait()  # type: ignore[attr-defined]
    queue.put((load(root, data_dir).fingerprint(), count))


def test_two_processes_at_once_decode_once(root: Path, data_dir: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=_load_at_once, args=(root, data_dir, barrier, queue))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    outcomes = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(count for _, count in outcomes) == [0, 18]
    assert {fingerprint for fingerprint, _ in outcomes} == {load(root, data_dir).fingerprint()}


def test_an_entry_of_an_older_way_of_decoding_is_not_used(
    root: Path, data_dir: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert image_cache._FORMAT > 1, "1 dropped transparency, and cut 12 bits in 16 to 4"
    monkeypatch.setattr(image_cache, "_FORMAT", image_cache._FORMAT - 1)
    load(root, data_dir)
    monkeypatch.undo()
    decoded.clear()
    load(root, data_dir)
    assert len(entries(data_dir)) == 2


def test_files_of_16_bits_are_read_at_one_depth(root: Path, data_dir: Path) -> None:
    levels = {"train/ant/0.png": 900, "train/bee/1.png": 4_000, "test/cat/0.png": 30}
    for file, level in levels.items():
        Image.fromarray(np.full((16, 16), level, np.uint16)).save(root / file)
    data = load(root, data_dir)
    assert [data.train_images[row, 0, 0, 0] for row in (0, 5)] == [900 >> 4, 4_000 >> 4]
    assert data.test_images[4, 0, 0, 0] == 30 >> 4
    assert data.train_images[1, 0, 0, 0] == 201, "8 bits stay as they are"
    assert data.bits == load(root, data_dir).bits == 12, "decoded now, and from the cache"


class TestFrames:
    @pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
    def test_an_image_of_several_is_counted_each_time(
        self, kind: str, root: Path, data_dir: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        first, second = (Image.new("RGB", (16, 16), (level, 0, 0)) for level in (0, 250))
        for name in ("train/bee/1.png", "test/cat/0.png"):
            first.save(root / name, kind, save_all=True, append_images=[second])
        for _ in range(2):
            caplog.clear()
            data = load(root, data_dir)
            assert describe_unread(data.unread) == ("2 images' further frames (train/bee/1.png)")
            assert "2 images' further frames" in caplog.text
        assert data.train_images[5].max() <= 2

    def test_a_photo_with_its_preview_is_one_image(self, root: Path, data_dir: Path) -> None:
        photo = Image.new("RGB", (16, 16))
        photo.save(root / "train/bee/1.png", "MPO", save_all=True, append_images=[photo])
        assert load(root, data_dir).unread == ()


class TestBroken:
    def test_one_that_is_too_large_is_not_called_broken_and_can_be_skipped(
        self, root: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = root / "train" / "bee" / "1.png"
        write_picture(file, side=20)
        monkeypatch.setattr(decoding, "MAX_PIXELS", 399)
        with pytest.raises(InputError) as caught:
            load(root, data_dir)
        assert str(caught.value).startswith(f"{file} is too large: 20x20 are 400 pixels, and the")
        assert "MAX_PIXELS is 399" in str(caught.value)
        assert "broken" not in str(caught.value).replace("skip_broken", "")
        assert load(root, data_dir, skip_broken=True).num_skipped == 1

    def test_the_error_names_file_reason_and_remedy(self, root: Path, data_dir: Path) -> None:
        file = root / "train" / "bee" / "1.png"
        file.write_text("no image")
        with pytest.raises(InputError) as caught:
            load(root, data_dir)
        message = str(caught.value)
        assert message.startswith(f"{file} is a broken image, or of a format that is not read. ")
        assert "--skip-broken" not in message, "study run has no such option"
        assert "dataset.skip_broken: true" in message
        assert entries(data_dir) == []

    def test_skipped_files_are_counted_and_named_each_time(
        self, root: Path, data_dir: Path, caplog: pytest.LogCaptureFixture, decoded: list[Path]
    ) -> None:
        whole = load(root, data_dir)
        for name in ("train/ant/1.png", "train/bee/0.png", "train/cat/3.png", "test/cat/0.png"):
            (root / name).write_text("no image")
        for _ in range(2):
            caplog.clear()
            with caplog.at_level(logging.WARNING):
                data = load(root, data_dir, skip_broken=True)
            assert data.num_skipped == 4
            assert ": train/ant/1.png, train/bee/0.png, train/cat/3.png and 1 more" in caplog.text
        assert len(decoded) == 36
        kept = [row for row in range(12) if row not in (1, 4, 11)]
        assert np.array_equal(data.train_images, whole.train_images[kept])
        assert data.train_labels.tolist() == whole.train_labels[kept].tolist()
        assert data.test_labels.tolist() == [0, 0, 1, 1, 2]

    def test_a_class_of_broken_files_only_is_named(self, root: Path, data_dir: Path) -> None:
        for file in (root / "test" / "bee").iterdir():
            file.write_text("no image")
        with pytest.raises(InputError, match=r"class bee of .* not broken in the test set"):
            load(root, data_dir, skip_broken=True)
        assert entries(data_dir) == []

    def test_a_file_without_permission_is_not_called_broken(
        self, root: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: Path, size: int, **_: object) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(decoding, "decode_image", refuse)
        with pytest.raises(
            InputError, match=r"train/ant/0\.png is not readable\. Check its permissions"
        ):
            load(root, data_dir, skip_broken=True)

    def test_a_fault_that_passes_is_an_error_and_leaves_no_file_out(
        self, root: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(path: Path, size: int, **_: object) -> None:
            raise OSError(errno.EIO, "Input/output error", str(path))

        with monkeypatch.context() as patched:
            patched.setattr(decoding, "decode_image", fail)
            with pytest.raises(
                InputError,
                match=r"train/ant/0\.png could not be read \(Input/output error\)",
            ):
                load(root, data_dir, skip_broken=True)
        assert entries(data_dir) == []
        assert load(root, data_dir, skip_broken=True).num_skipped == 0


def test_the_users_cache_serves_where_the_data_folder_cannot_be_written(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[Path]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    (tmp_path / "file").write_text("")
    for _ in range(2):
        load(root, tmp_path / "file" / "data")
    assert len(decoded) == 18
    assert any((tmp_path / "user" / "searchlab" / "images").iterdir())


def test_nowhere_to_write_is_the_users_error(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "user"))
    with pytest.raises(InputError, match=r"must have a writable folder.*--data-dir"):
        load(root, tmp_path / "file" / "data")


def test_an_entry_has_the_sums_of_its_training_images_and_the_images_their_files(
    root: Path, data_dir: Path
) -> None:
    data = load(root, data_dir)
    assert data.train_sums is not None
    expected = ChannelSums.from_images(data.train_images)
    assert np.array_equal(data.train_sums.sums, expected.sums)
    assert np.array_equal(data.train_sums.squares, expected.squares)
    assert data.train_sums.pixels_per_image == expected.pixels_per_image
    assert data.mapped_files is not None
    for file, images in zip(data.mapped_files, (data.train_images, data.test_images), strict=True):
        assert np.array_equal(np.load(file), images)
    few = load_dataset(DatasetRequest(name="folder", root=root, size=SIZE, limit=3), data_dir)
    assert (few.train_sums, few.mapped_files) == (None, None)


def test_an_entry_of_an_earlier_version_has_no_sums_and_is_used(
    root: Path, data_dir: Path, decoded: list[Path]
) -> None:
    fingerprint = load(root, data_dir).fingerprint()
    decoded.clear()
    [entry] = entries(data_dir)
    (entry / "train_sums.npy").unlink()
    index = json.loads((entry / "index.json").read_text())
    del index["crc32"]["train_sums.npy"]
    (entry / "index.json").write_text(json.dumps(index))
    data = load(root, data_dir)
    assert (data.train_sums, data.fingerprint(), decoded) == (None, fingerprint, [])
