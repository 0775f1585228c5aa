"""Decoding: the pixels that torchvision gives, from every kind of file, and nothing from others."""

from __future__ import annotations

import builtins
import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from picture_files import write_foreign_heif, write_picture
from PIL import Image, ImageOps

from searchlab.data import decoding
from searchlab.data.decoding import UnusableImageError, decode_files, decode_image
from searchlab.data.pixels import to_square


def noise(height: int, width: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("shape", [(40, 40), (31, 57), (90, 33), (12, 20), (16, 16)])
def test_pixels_are_those_of_torchvisions_resize_and_centre_crop(
    shape: tuple[int, int], tmp_path: Path
) -> None:
    from torchvision.transforms import CenterCrop, Compose, Resize

    image = noise(*shape)
    image.save(tmp_path / "noise.png")
    expected = np.asarray(Compose([Resize(16), CenterCrop(16)])(image)).transpose(2, 0, 1)
    found = decode_image(tmp_path / "noise.png", 16).pixels
    assert (found.dtype, found.shape) == (np.uint8, (3, 16, 16))
    assert np.array_equal(found, expected)


def test_a_padded_image_is_whole_on_black_and_a_stretched_one_out_of_shape(tmp_path: Path) -> None:
    from torchvision.transforms import Resize

    image = noise(20, 40)
    image.save(tmp_path / "wide.png")
    padded = decode_image(tmp_path / "wide.png", 16, fit="pad").pixels
    whole = np.asarray(Resize((8, 16))(image)).transpose(2, 0, 1)
    assert np.array_equal(padded[:, 4:12], whole)
    assert not padded[:, :4].any()
    assert not padded[:, 12:].any()
    stretched = decode_image(tmp_path / "wide.png", 16, fit="stretch").pixels
    assert np.array_equal(stretched, np.asarray(Resize((16, 16))(image)).transpose(2, 0, 1))
    noise(1, 90).save(tmp_path / "line.png")
    assert decode_image(tmp_path / "line.png", 16, fit="pad").pixels.any(axis=(0, 2)).sum() == 1


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 70, (70, 70, 70)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("P", 0, (0, 0, 0)),
        ("1", 1, (255, 255, 255)),
    ],
)
def test_every_mode_becomes_rgb(
    mode: str, colour: int | tuple[int, ...], expected: tuple[int, ...], tmp_path: Path
) -> None:
    Image.new(mode, (8, 8), colour).save(tmp_path / "image.png")
    assert decode_image(tmp_path / "image.png", 8).pixels[:, 3, 3].tolist() == list(expected)


def test_a_photo_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 16))
    image.paste((255, 0, 0), (0, 0, 16, 8))  # red above
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    image.save(tmp_path / "photo.png", exif=exif)
    red = decode_image(tmp_path / "photo.png", 16).pixels[0]
    assert (red[:, 8:] == 255).all()
    assert (red[:, :8] == 0).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_every_turn_of_exif_is_that_of_pil(orientation: int, ending: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{ending}"
    noise(24, 40).save(path, exif=exif, **({"lossless": True} if ending == "webp" else {}))
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    expected = to_square(upright, 16)
    assert np.array_equal(decode_image(path, 16).pixels, expected)


def test_damaged_exif_data_do_not_make_a_photo_broken(tmp_path: Path) -> None:
    noise(16, 16).save(tmp_path / "photo.jpg", exif=b"Exif\0\0no exif at all")
    assert decode_image(tmp_path / "photo.jpg", 16).pixels.shape == (3, 16, 16)


def test_a_large_jpeg_keeps_its_look(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 1024).astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(ramp[None, :, None], (1024, 1024, 3)).copy())
    image.save(tmp_path / "large.jpg", quality=95)
    expected = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    found = decode_image(tmp_path / "large.jpg", 32).pixels
    assert np.abs(found.astype(int) - expected).max() <= 3


def write_cut(path: Path) -> None:
    noise(64, 64).save(path, format="PNG")
    path.write_bytes(path.read_bytes()[:2000])


def write_narrow(path: Path) -> None:
    Image.new("RGB", (1000, 1)).save(path, format="PNG")


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: path.write_bytes(b""), "of a format that is not read"),
        (lambda path: path.write_text("<html>not found</html>"), "of a format that is not read"),
        (
            lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
            "of a format that is not read",
        ),
        (write_foreign_heif, "Failed to decode image"),
        (write_cut, "truncated"),
        (write_narrow, "too narrow: 1000x1"),
        (lambda path: Image.new("F", (8, 8)).save(path, format="TIFF"), r"^has .* \(PIL's mode F"),
        (lambda path: Image.new("I", (8, 8)).save(path, format="TIFF"), r"^has .* \(PIL's mode I"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
    ],
    ids=["empty", "html", "postscript", "heif", "cut", "narrow", "float", "whole", "dangling link"],
)
def test_a_broken_file_says_why(write: object, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    write(path)  # type: ignore[operator]
    with pytest.raises(UnusableImageError, match=reason):
        decode_image(path, 8)


class FailingFile(io.BytesIO):
    """A file whose disk fails once its first 500 bytes have been read."""

    def __init__(self, content: bytes, number: int) -> None:
        super().__init__(content)
        self._number = number

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= 500:
            raise OSError(self._number, os.strerror(self._number))
        return super().read(size)


PASSING = ["EIO", "EMFILE", "ENFILE", "ENOMEM", "ESTALE", "ETIMEDOUT"]


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("at_open", [True, False], ids=["opening", "reading"])
def test_a_fault_of_the_machine_does_not_make_a_file_broken(
    name: str, at_open: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, number = tmp_path / "image.png", getattr(errno, name)
    noise(64, 64).save(path)
    content = path.read_bytes()

    def fail(file: object, mode: str = "r") -> io.BytesIO:
        if at_open:
            raise OSError(number, os.strerror(number), str(file))
        return FailingFile(content, number)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "open", fail)
        with pytest.raises(OSError, match=r"image\.png") as caught:
            decode_image(path, 8)
    assert (caught.value.errno, caught.value.filename) == (number, str(path))
    assert decode_image(path, 8).pixels.shape == (3, 8, 8)


def test_too_little_memory_does_not_make_a_file_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    noise(16, 16).save(tmp_path / "image.png")
    monkeypatch.setattr(decoding, "reduced_rgb", fail)
    with pytest.raises(OSError, match=r"image\.png") as caught:
        decode_image(tmp_path / "image.png", 8)
    assert caught.value.errno == errno.ENOMEM


def test_rows_are_in_the_order_of_the_files_and_the_broken_are_told(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(100)]
    for index, path in enumerate(paths):
        write_picture(path, (index, 0, 0), side=8)
    for index in (3, 70):
        paths[index].write_text("no image")
    images = np.zeros((100, 3, 8, 8), np.uint8)
    steps: list[tuple[int, int]] = []
    notes = list(
        decode_files(paths, images, on_progress=lambda done, total: steps.append((done, total)))
    )
    assert [note.index for note in notes] == [3, 70]
    assert {note.fault for note in notes} == {"is a broken image, or of a format that is not read"}
    assert [row for row in range(100) if images[row, 0, 0, 0] != row] == [3, 70]
    assert steps == sorted(steps)
    assert steps[-1] == (100, 100)
