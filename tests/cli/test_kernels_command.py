"""searchlab kernels: the patterns as text, and a picture whose pixels are the responses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import assert_refused, run_searchlab
from PIL import Image
from torch.nn.functional import conv2d

from searchlab.models.first_layer import first_layer_kernels
from searchlab.models.kernels import hand_kernels
from searchlab.report.kernel_pictures import choose_images, draw_kernel_responses, respond


def test_list_prints_the_published_patterns() -> None:
    outcome = run_searchlab("kernels", "list", "--family", "a1")
    assert outcome.code == 0
    blocks = outcome.out.strip().split("\n\n")
    assert blocks[0].split("\n") == ["kernel 0", "  1 0 0", "  0 1 0", "  0 0 1"]
    assert len(blocks) == 5


@pytest.mark.parametrize("family", ["a1", "a2", "cnn"])
def test_list_as_json_holds_every_filter_of_the_first_layer(family: str) -> None:
    printed = json.loads(run_searchlab("kernels", "list", "--family", family, "--json").out)
    assert printed["family"] == family
    patterns = torch.tensor([kernel["rows"] for kernel in printed["kernels"]])
    assert torch.equal(patterns.float(), first_layer_kernels(family))


def test_kernels_of_a_family_are_those_that_its_layer_is_set_to() -> None:
    assert torch.equal(first_layer_kernels("a1"), hand_kernels(5, (3, 3)))


@pytest.mark.parametrize("command", ["list", "show"])
@pytest.mark.parametrize(
    ("family", "piece"), [("fcn", "must have a first conv layer"), ("a3", "must be a known family")]
)
def test_family_without_such_kernels_is_refused(
    command: str, family: str, piece: str, tmp_path: Path
) -> None:
    out = ["--out", tmp_path / "x.png"] if command == "show" else []
    assert_refused(run_searchlab("kernels", command, "--family", family, *out), piece, "a1")
    assert list(tmp_path.iterdir()) == []


def test_show_writes_a_picture_and_never_over_another(tmp_path: Path) -> None:
    out = tmp_path / "new" / "seen.png"
    assert run_searchlab("kernels", "show", "--images", 2, "--out", out).code == 0
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        few = picture.size
    before = out.read_bytes()
    assert_refused(run_searchlab("kernels", "show", "--out", out), "already exists", "--force")
    assert out.read_bytes() == before
    assert run_searchlab("kernels", "show", "--out", out, "--force").code == 0
    with Image.open(out) as picture:
        assert picture.width > few[0]  # an image of each class, not two
        assert picture.height == few[1]


def test_show_draws_the_first_filters_only_where_asked(tmp_path: Path) -> None:
    heights = []
    for filters in (1, 3):
        out = tmp_path / f"{filters}.png"
        show = ("kernels", "show", "--images", 1, "--out", out, "--filters", filters)
        assert run_searchlab(*show).code == 0
        with Image.open(out) as picture:
            heights.append(picture.height)
    with_one, with_three = heights
    assert with_three - with_one == 2 * (96 + 8)


def test_show_refuses_an_unknown_dataset_and_a_place_it_cannot_write(tmp_path: Path) -> None:
    outcome = run_searchlab("kernels", "show", "--dataset", "digit", "--out", tmp_path / "x.png")
    assert_refused(outcome, "'digit'", "Did you mean digits")
    (tmp_path / "file").write_bytes(b"")
    outcome = run_searchlab("kernels", "show", "--images", 1, "--out", tmp_path / "file" / "x.png")
    assert_refused(outcome, "cannot be written", "--out")


def test_images_are_one_of_each_class_first() -> None:
    labels = np.array([2, 2, 0, 1, 0, 2])
    assert choose_images(labels, 3).tolist() == [2, 3, 0]
    assert choose_images(labels, 5).tolist() == [2, 3, 0, 4, 1]
    assert choose_images(labels, 99).tolist() == [2, 3, 0, 4, 1, 5]


@pytest.mark.parametrize("channels", [1, 3])
def test_responses_are_those_of_the_first_layer_padded(channels: int) -> None:
    images = torch.rand(2, channels, 6, 5, generator=torch.Generator().manual_seed(0))
    kernels = hand_kernels(4, (3, 3))
    weight = kernels[:, None].expand(4, channels, 3, 3)
    expected = conv2d(images, weight, padding=1).transpose(0, 1)
    torch.testing.assert_close(respond(images, kernels), expected)


def find_tile(picture: Image.Image, tile: np.ndarray) -> bool:
    """Tell whether the picture holds exactly these pixels, each enlarged to a square."""
    pixels = np.asarray(picture)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (*tile.shape[:2], 3))[:, :, 0]
    return bool((windows[:, :] == tile).all(axis=(2, 3, 4)).any())


def enlarge(gray: list[list[int]], factor: int) -> np.ndarray:
    square = np.kron(np.array(gray), np.ones((factor, factor))).astype(np.uint8)
    return np.repeat(square[..., None], 3, axis=2)


def test_picture_shows_original_and_response_scaled_to_the_rows_largest() -> None:
    image = np.zeros((1, 1, 2, 2), dtype=np.uint8)
    image[0, 0, 0, 0], image[0, 0, 1, 1] = 255, 51
    ones = torch.ones(1, 1, 1)
    responses = respond(torch.from_numpy(image).float() / 255, 3 * ones)
    picture = draw_kernel_responses(image, 3 * ones, responses / 2, title="t", captions=["class 0"])
    same = enlarge([[255, 0], [0, 51]], 48)
    left = picture.crop((180, 60, picture.width, 200))
    assert find_tile(left, same)  # the original
    assert find_tile(picture.crop((180, 180, picture.width, picture.height)), same)  # 0 to 1.5


def test_negative_responses_are_blue_and_positive_ones_red() -> None:
    image = np.zeros((1, 1, 1, 2), dtype=np.uint8)
    responses = torch.tensor([-2.0, 1.0]).reshape(1, 1, 1, 2)
    picture = draw_kernel_responses(
        image, torch.ones(1, 1, 1), responses, title="t", captions=["class 0"]
    )
    colours = {colour for _, colour in picture.getcolors(maxcolors=1 << 20)}
    assert (33, 102, 172) in colours  # -2, as far as the scale goes
    assert (216, 140, 149) in colours  # +1, half way to red
