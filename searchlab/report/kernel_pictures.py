"""Pictures of what the kernels set by hand see: each kernel's response to a few images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from searchlab.models.reference import filter_channels

__all__ = ["choose_images", "draw_kernel_responses", "respond"]

_CELL = 96  # side of a small image once its pixels are enlarged
_LARGEST = 192  # side from which an image is shrunk
_GAP = 8
_LABEL_WIDTH = 104  # of a row's label, right of its kernel
_CAPTION = 20
_INK, _PAPER, _LINES = (30, 30, 30), (255, 255, 255), (150, 150, 150)
_NEGATIVE, _POSITIVE = np.array([33, 102, 172]), np.array([178, 24, 43])

Pixels = NDArray[np.uint8]


def choose_images(labels: NDArray[np.int64], num_images: int) -> NDArray[np.int64]:
    """Return indices of the first image of each class, then of the second ones, and so on.

    ``labels`` [N]. Fewer than ``num_images`` come back only if there are fewer.
    """
    ordered = np.argsort(labels, kind="stable")
    by_class = labels[ordered]
    _, starts = np.unique(by_class, return_index=True)
    turn = np.arange(len(labels)) - np.repeat(starts, np.diff([*starts, len(labels)]))
    chosen: NDArray[np.int64] = ordered[np.lexsort((by_class, turn))][:num_images]
    return chosen


def respond(images: Tensor, kernels: Tensor) -> Tensor:
    """Return the responses [F, N, H, W] of a first layer with these kernels and no bias.

    ``images`` [N, C, H, W] in float, ``kernels`` [F, kh, kw]: each filter has its kernel on every
    channel, so its response is the sum over the channels. The size is kept by padding with zeros.
    """
    return torch.stack([filter_channels(images, kernel).sum(dim=1) for kernel in kernels])


def draw_kernel_responses(
    images: Pixels, kernels: Tensor, responses: Tensor, *, title: str, captions: Sequence[str]
) -> Image.Image:
    """Draw originals in the first row, kernels in the first column, a row for each kernel.

    ``images`` uint8 [N, 1 or 3, H, W], ``kernels`` [F, kh, kw], ``responses`` [F, N, H, W], one
    caption an image. Every row has a scale of its own, which its label states: black to white
    from 0 to the largest response; blue to red if any response of any row is negative.
    """
    assert len(captions) == len(images) == responses.shape[1], "one caption and response an image"
    assert len(kernels) == len(responses), "one row of responses a kernel"
    tiles = [_enlarge(_to_rgb(image)) for image in images]
    width, height = tiles[0].size
    signed = bool((responses < 0).any())
    notes = [
        "Each row: the images filtered by the kernel on its left (a first layer's response, "
        "no bias, zeros around).",
        "Every row has its own scale: blue is negative, white 0, red positive."
        if signed
        else "Every row has its own scale: black is 0, white its largest response.",
    ]
    left = _CELL + _GAP + _LABEL_WIDTH
    top = 3 * _CAPTION + 2 * _GAP
    wide = max(left + len(tiles) * (width + _GAP), _measure([title, *notes])) + 2 * _GAP
    row_height = max(height, _CELL) + _GAP
    tall = top + _CAPTION + (1 + len(kernels)) * row_height + _GAP
    picture = Image.new("RGB", (wide, tall), _PAPER)
    pen = ImageDraw.Draw(picture)
    for line, text in enumerate((title, *notes)):
        pen.text((_GAP, _GAP + line * _CAPTION), text, _INK, font=_font(15 if line == 0 else 13))

    for column, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        x = left + _GAP + column * (width + _GAP)
        pen.text((x, top), _cut(caption, width), _INK, font=_font(13))
        picture.paste(tile, (x, top + _CAPTION))
    _write_label(pen, (_GAP, top + _CAPTION), height, ["original"])
    for row, (kernel, seen) in enumerate(zip(kernels, responses, strict=True), start=1):
        y = top + _CAPTION + row * row_height
        cells = _draw_kernel(kernel)
        picture.paste(cells, (_GAP, y + max(0, height - cells.height) // 2))
        bound = seen.abs().max().item()
        scale = f"{-bound if signed else 0:.3g} to {bound:.3g}"
        _write_label(pen, (2 * _GAP + _CELL, y), height, [f"kernel {row - 1}", scale])
        for column, response in enumerate(_colour(seen, bound, signed=signed)):
            x = left + _GAP + column * (width + _GAP)
            picture.paste(_enlarge(response), (x, y))
    return picture


def _colour(seen: Tensor, bound: float, *, signed: bool) -> Pixels:
    """Turn one kernel's responses [N, H, W] into colours [N, H, W, 3], on one scale."""
    shares = seen.double().numpy()[..., None] / (bound or 1.0)
    if signed:
        ends = np.where(shares < 0, _NEGATIVE, _POSITIVE)
        colours = 255 + np.abs(shares) * (ends - 255)
    else:
        colours = np.repeat(shares * 255, 3, axis=-1)
    pixels: Pixels = np.rint(colours).astype(np.uint8)
    return pixels


def _to_rgb(image: Pixels) -> Pixels:
    """Turn [1 or 3, H, W] into [H, W, 3]; of any other number of channels the mean."""
    channels = image if len(image) in (1, 3) else image.mean(axis=0, keepdims=True)
    return np.broadcast_to(channels.transpose(1, 2, 0), (*image.shape[1:], 3)).astype(np.uint8)


def _enlarge(pixels: Pixels) -> Image.Image:
    """Enlarge every pixel of [H, W, 3] to a whole square, so that each can be seen."""
    tile = Image.fromarray(np.ascontiguousarray(pixels))
    largest = max(tile.size)
    if largest > _LARGEST:
        tile.thumbnail((_LARGEST, _LARGEST))
        return tile
    factor = max(1, _CELL // largest)
    return tile.resize((tile.width * factor, tile.height * factor), Image.Resampling.NEAREST)


def _draw_kernel(kernel: Tensor) -> Image.Image:
    """Draw a kernel's cells: 1 white, 0 black, with lines between and the figures inside."""
    rows, columns = kernel.shape
    side = max(3, (_CELL - 1) // max(rows, columns))
    tile = Image.new("RGB", (columns * side + 1, rows * side + 1), _PAPER)
    pen = ImageDraw.Draw(tile)
    for row in range(rows):
        for column in range(columns):
            value = kernel[row, column].item()
            x, y = column * side, row * side
            is_set = value != 0
            pen.rectangle((x, y, x + side, y + side), _PAPER if is_set else (0, 0, 0), _LINES)
            if side >= 14:
                ink = _INK if is_set else _LINES
                middle = (x + side / 2, y + side / 2)
                pen.text(middle, f"{value:g}", ink, font=_font(12), anchor="mm")
    return tile


def _write_label(
    pen: ImageDraw.ImageDraw, place: tuple[int, int], height: int, lines: list[str]
) -> None:
    x, y = place[0], place[1] + max(0, height - len(lines) * _CAPTION) // 2
    for number, line in enumerate(lines):
        pen.text((x, y + number * _CAPTION), line, _INK, font=_font(13))


def _cut(caption: str, width: int) -> str:
    """Cut a caption that would run into the next."""
    while _font(13).getlength(caption) > width:
        caption = caption[:-1]
    return caption


def _measure(lines: list[str]) -> int:
    return max(round(_font(15).getlength(line)) for line in lines)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
