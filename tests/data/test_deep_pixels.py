"""Values of more than 8 bits keep their levels, in every kind of file that can hold them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from searchlab.data.decoding import DecodedImage, UnusableImageError, decode_image

SIDE = 24
Values = NDArray[np.uint16]


def ramp(bands: int, *, bits: int = 12) -> Values:
    """Return values [SIDE, SIDE, bands] from 0 to the largest of ``bits``, else all different."""
    steps = np.linspace(0, 2**bits - 1, SIDE * SIDE * bands).round()
    return steps.astype(np.uint16).reshape(SIDE, SIDE, bands)


def write_png(path: Path, values: Values, *, clear: bytes = b"") -> None:
    """Write 16 bits for each value; PIL writes only grey ones."""
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[values.shape[2]]
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)),
        *([(b"tRNS", clear)] if clear else []),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )


def write_tiff(
    path: Path, values: Values, *, order: str, packed: bool, in_planes: bool = False
) -> None:
    """Write 16 bits for each value, in either byte order, as they are or by Deflate."""
    height, width, bands = values.shape
    data = values.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if packed else data
    short, long = 3, 4
    tags = [
        (256, long, [width]), (257, long, [height]), (258, short, [16] * bands),
        (259, short, [8 if packed else 1]), (262, short, [1 if bands == 1 else 2]),
        (273, long, [8]), (277, short, [bands]), (278, long, [height]), (279, long, [len(data)]),
    ]  # fmt: skip
    if in_planes:
        tags.append((284, short, [2]))
    if bands == 4:
        tags.append((338, short, [2]))
    data += b"\0" * (len(data) % 2)
    start = 8 + len(data)
    extra_start, extra = start + 2 + 12 * len(tags) + 4, b""
    entries = b""
    for tag, kind, content in tags:
        place = struct.pack(f"{order}{len(content)}{'H' if kind == short else 'I'}", *content)
        if len(place) > 4:
            extra += place
            place = struct.pack(f"{order}I", extra_start + len(extra) - len(place))
        entries += struct.pack(f"{order}HHI", tag, kind, len(content)) + place.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    path.write_bytes(
        magic + struct.pack(f"{order}I", start) + data
        + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + extra
    )  # fmt: skip


def write_pnm(path: Path, values: Values, *, largest: int) -> None:
    height, width, bands = values.shape
    head = f"P{5 if bands == 1 else 6}\n{width} {height}\n{largest}\n"
    path.write_bytes(head.encode() + values.astype(">u2").tobytes())


def read(path: Path, bits: int | None = None) -> DecodedImage:
    return decode_image(path, SIDE, bits=bits)


def as_pixels(values: Values, *, bits: int) -> NDArray[np.uint8]:
    """Return what uint8 [3, SIDE, SIDE] the values of opaque grey or colours should become."""
    pixels = (values >> (bits - 8)).astype(np.uint8).transpose(2, 0, 1)
    return np.broadcast_to(pixels, (3, SIDE, SIDE))


WRITERS = {
    "png": write_png,
    "little tiff": lambda path, values: write_tiff(path, values, order="<", packed=False),
    "big tiff": lambda path, values: write_tiff(path, values, order=">", packed=False),
    "packed little tiff": lambda path, values: write_tiff(path, values, order="<", packed=True),
    "packed big tiff": lambda path, values: write_tiff(path, values, order=">", packed=True),
    "ppm": lambda path, values: write_pnm(path, values, largest=65_535),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("bands", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_fewer_bits_in_a_file_of_16_keep_their_levels(
    bits: int, bands: int, kind: str, tmp_path: Path
) -> None:
    values = ramp(bands, bits=bits)
    WRITERS[kind](tmp_path / "image", values)
    decoded = read(tmp_path / "image")
    assert decoded.bits == bits
    assert np.array_equal(decoded.pixels, as_pixels(values, bits=bits))


def test_the_levels_of_a_12_bit_sensor_are_told_apart(tmp_path: Path) -> None:
    values = (np.arange(SIDE * SIDE).reshape(SIDE, SIDE) * 7).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "12bit.png")
    assert len(np.unique(read(tmp_path / "12bit.png").pixels)) == 252


@pytest.mark.parametrize("bands", [2, 4], ids=["grey", "colour"])
@pytest.mark.parametrize("full", [4095, 65_535], ids=["clear in 12 bits", "clear in 16 bits"])
def test_transparency_has_a_depth_of_its_own(bands: int, full: int, tmp_path: Path) -> None:
    values = ramp(bands)
    values[..., -1] = np.where(np.arange(SIDE) < SIDE // 2, full, 0)
    write_png(tmp_path / "image.png", values)
    pixels = read(tmp_path / "image.png").pixels
    opaque = as_pixels(values[..., :-1], bits=12)
    assert np.array_equal(pixels[..., : SIDE // 2], opaque[..., : SIDE // 2])
    assert (pixels[..., SIDE // 2 :] == 255).all()


@pytest.mark.parametrize("bands", [1, 3], ids=["grey", "colour"])
def test_a_transparent_colour_of_16_bits_becomes_white(bands: int, tmp_path: Path) -> None:
    values = ramp(bands)
    clear = values[5, 5].astype(">u2").tobytes()
    write_png(tmp_path / "image.png", values, clear=clear)
    pixels = read(tmp_path / "image.png").pixels
    expected = as_pixels(values, bits=12).copy()
    expected[:, 5, 5] = 255
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("kind", ["png", "little tiff"])
@pytest.mark.parametrize("bands", [1, 3], ids=["grey", "colour"])
def test_a_greater_depth_that_is_known_is_used(bands: int, kind: str, tmp_path: Path) -> None:
    values = ramp(bands, bits=10)
    WRITERS[kind](tmp_path / "image", values)
    decoded = read(tmp_path / "image", bits=12)
    assert decoded.bits == 10
    assert np.array_equal(decoded.pixels, as_pixels(values, bits=12))


@pytest.mark.parametrize("largest", [1023, 4095])
@pytest.mark.parametrize("bands", [1, 3], ids=["grey", "colour"])
def test_a_range_that_the_file_declares_is_believed(
    bands: int, largest: int, tmp_path: Path
) -> None:
    values = ramp(bands, bits=8)  # dark: far below the declared largest value
    write_pnm(tmp_path / "image.pnm", values, largest=largest)
    decoded = read(tmp_path / "image.pnm", bits=16)
    assert decoded.bits is None
    expected = np.broadcast_to((values * (255 / largest)).transpose(2, 0, 1), (3, SIDE, SIDE))
    assert np.abs(decoded.pixels - expected).max() <= 1


def test_jpeg_2000_declares_its_depth(tmp_path: Path) -> None:
    Image.fromarray(np.full((SIDE, SIDE), 300, np.uint16)).save(tmp_path / "image.jp2")
    decoded = read(tmp_path / "image.jp2")
    assert (decoded.bits, decoded.pixels.max()) == (None, 1)


@pytest.mark.parametrize("packed", [True, False])
def test_planes_of_16_bits_which_pil_mixes_up_are_refused(packed: bool, tmp_path: Path) -> None:
    write_tiff(tmp_path / "image", ramp(3), order="<", packed=packed, in_planes=True)
    with pytest.raises(UnusableImageError, match="a plane for each colour of 16 bits"):
        read(tmp_path / "image")


def test_the_only_plane_of_a_grey_image_is_read(tmp_path: Path) -> None:
    write_tiff(tmp_path / "image", ramp(1), order="<", packed=True, in_planes=True)
    assert read(tmp_path / "image").bits == 12


def test_8_bits_have_no_depth_to_find(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "image.png")
    assert read(tmp_path / "image.png").bits is None
