"""Pixels keep what a file says: transparency lies on white, and large images look the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from searchlab.data import decoding
from searchlab.data.decoding import MAX_PIXELS, UnusableImageError, decode_image
from searchlab.data.image_data import Images
from searchlab.data.pil_setup import opening_images
from searchlab.data.pixels import BACKGROUND

WHITE, RED = [255, 255, 255], [200, 10, 20]


def half_clear(
    mode: str, colour: int | tuple[int, ...], clear: int | tuple[int, ...]
) -> Image.Image:
    """Return 8x8 pixels: ``colour`` on the left, ``clear`` on the right."""
    image = Image.new(mode, (8, 8), colour)
    image.paste(clear, (4, 0, 8, 8))
    return image


def palette_image() -> Image.Image:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([*RED, 0, 90, 0])
    image.paste(1, (4, 0, 8, 8))
    return image


def read(path: Path) -> Images:
    return decode_image(path, 8).pixels


class TestTransparency:
    def test_the_background_is_white(self) -> None:
        assert list(BACKGROUND) == WHITE

    @pytest.mark.parametrize(
        ("file", "image", "settings", "left"),
        [
            ("rgba.png", half_clear("RGBA", (*RED, 255), (0, 90, 0, 0)), {}, RED),
            ("rgba.webp", half_clear("RGBA", (*RED, 255), (0, 90, 0, 0)), {"lossless": True}, RED),
            ("rgba.tif", half_clear("RGBA", (*RED, 255), (0, 90, 0, 0)), {}, RED),
            ("la.png", half_clear("LA", (70, 255), (0, 0)), {}, [70] * 3),
            ("la.tif", half_clear("LA", (70, 255), (0, 0)), {}, [70] * 3),
            ("one.png", palette_image(), {"transparency": 1}, RED),
            ("bytes.png", palette_image(), {"transparency": b"\xff\x00"}, RED),
            ("one.gif", palette_image(), {"transparency": 1}, RED),
            ("grey.png", half_clear("L", 70, 9), {"transparency": 9}, [70] * 3),
            ("rgb.png", half_clear("RGB", (*RED,), (0, 90, 0)), {"transparency": (0, 90, 0)}, RED),
            ("bits.png", half_clear("1", 0, 1), {"transparency": 1}, [0] * 3),
        ],
    )  # fmt: skip
    def test_what_is_clear_becomes_white(
        self, file: str, image: Image.Image, settings: dict[str, object], left: list[int],
        tmp_path: Path, recwarn: pytest.WarningsRecorder,
    ) -> None:  # fmt: skip
        image.save(tmp_path / file, **settings)
        pixels = read(tmp_path / file)
        assert pixels[:, 4, 1].tolist() == left
        assert pixels[:, 4, 6].tolist() == WHITE
        assert [str(entry.message) for entry in recwarn] == []

    def test_what_is_half_clear_is_mixed_with_white(self, tmp_path: Path) -> None:
        Image.new("RGBA", (8, 8), (0, 0, 0, 128)).save(tmp_path / "half.png")
        assert read(tmp_path / "half.png")[:, 0, 0].tolist() == [127] * 3

    def test_what_is_opaque_stays_to_the_bit(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        opaque = np.dstack([pixels, np.full((8, 8), 255, np.uint8)])
        Image.fromarray(opaque).save(tmp_path / "opaque.png")
        assert np.array_equal(read(tmp_path / "opaque.png"), pixels.transpose(2, 0, 1))


class TestLargeImages:
    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
    def test_one_that_is_made_smaller_first_looks_the_same(
        self, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        across, down = np.meshgrid(np.linspace(0, 255, 600), np.linspace(0, 255, 480))
        image = Image.fromarray(np.dstack([across, down, across]).astype(np.uint8))
        if mode in ("RGBA", "LA"):
            image.putalpha(Image.fromarray(down.astype(np.uint8)))
        image.convert(mode).save(tmp_path / "image.png")
        whole = read(tmp_path / "image.png").astype(int)
        monkeypatch.setattr(decoding, "_LARGE_PIXELS", 0)
        assert np.abs(read(tmp_path / "image.png") - whole).max() <= 4

    def test_one_is_turned_as_its_exif_says(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image = Image.new("RGB", (600, 600))
        image.paste((255, 0, 0), (0, 0, 600, 300))
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(tmp_path / "image.png", exif=exif)
        monkeypatch.setattr(decoding, "_LARGE_PIXELS", 0)
        red = read(tmp_path / "image.png")[0]
        assert (red[:, 5:] == 255).all()
        assert (red[:, :3] == 0).all()

    @pytest.mark.parametrize("limit", [100, 20], ids=["warns", "refuses"])
    def test_pils_own_limit_is_neither_an_error_nor_a_warning(
        self, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        recwarn: pytest.WarningsRecorder,
    ) -> None:  # fmt: skip
        Image.new("RGB", (12, 12), (70, 70, 70)).save(tmp_path / "image.png")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with opening_images():
            assert read(tmp_path / "image.png")[:, 0, 0].tolist() == [70] * 3
        assert [str(entry.message) for entry in recwarn] == []
        assert limit == Image.MAX_IMAGE_PIXELS

    @pytest.mark.slow
    def test_189_megapixels_are_read(self, tmp_path: Path) -> None:
        image = Image.new("1", (14_000, 13_500))
        image.paste(1, (0, 0, 7_000, 13_500))
        image.save(tmp_path / "big.png")
        with opening_images():
            pixels = read(tmp_path / "big.png")
        assert pixels[:, 4, 1].tolist() == WHITE
        assert pixels[:, 4, 6].tolist() == [0, 0, 0]

    def test_one_above_our_limit_is_refused_by_the_limits_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert MAX_PIXELS > 189_000_000
        Image.new("RGB", (12, 12)).save(tmp_path / "image.png")
        monkeypatch.setattr(decoding, "MAX_PIXELS", 143)
        with pytest.raises(
            UnusableImageError, match=r"is too large: 12x12 are 144 pixels, .* MAX_PIXELS is 143"
        ):
            decode_image(tmp_path / "image.png", 8)

    def test_a_jpeg_above_our_limit_is_read_if_a_part_of_it_will_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Image.new("RGB", (800, 800), (70, 70, 70)).save(tmp_path / "image.jpg")
        monkeypatch.setattr(decoding, "MAX_PIXELS", 10_000)
        assert read(tmp_path / "image.jpg")[:, 0, 0].tolist() == [70] * 3


def test_a_warning_of_pil_has_the_files_name_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    for index in range(3):
        write_odd_tiff(tmp_path / f"{index}.tif")
    images = np.zeros((3, 3, 8, 8), np.uint8)
    paths = [tmp_path / f"{index}.tif" for index in range(3)]
    with opening_images():
        assert list(decoding.decode_files(paths, images, on_progress=lambda *_: None)) == []
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / '0.tif'}: Metadata Warning, tag 282 had too many entries: 2, expected 1"
    ]
    assert list(recwarn) == []


def write_odd_tiff(path: Path) -> None:
    """Write a sound image about whose resolution PIL warns: two numbers instead of one."""
    Image.new("RGB", (8, 8)).save(path, dpi=(72, 72))
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[4:8], "little")
    for entry in range(int.from_bytes(content[start : start + 2], "little")):
        place = start + 2 + 12 * entry
        if int.from_bytes(content[place : place + 2], "little") == 282:
            content[place + 4 : place + 8] = (2).to_bytes(4, "little")
    path.write_bytes(content)
