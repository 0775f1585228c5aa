"""A convolution written out, to read and to check others against: report 001, task 1.

It is slow: it loops over output positions to show the arithmetic. It does not call torch's own
convolution. The trained networks use ``nn.Conv2d``.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["convolve", "filter_channels", "output_size"]

Pair = int | tuple[int, int]
"""One number for rows and columns, or (rows, columns)."""


def convolve(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Return the outputs [B, F, H', W'] of a convolution layer.

    ``images`` [B, C, H, W], ``weight`` [F, C / groups, kh, kw], ``bias`` [F] or None. As in every
    network library, the kernel is not flipped: strictly, this is a cross-correlation. ``padding``
    zeros are added on each side. Filters and channels are split into ``groups`` equal parts, and a
    filter sees only the channels of its own part. Raises ValueError if the shapes do not match.
    """
    _check_tensors(images, weight, bias)
    _check_groups(images, weight, groups)
    stride_h, stride_w = _pair("stride", stride, least=1)
    padding_h, padding_w = _pair("padding", padding, least=0)
    dilation_h, dilation_w = _pair("dilation", dilation, least=1)

    num_images, _, height, width = images.shape
    num_filters, channels_seen, kernel_h, kernel_w = weight.shape
    out_h = output_size(height, kernel_h, stride=stride_h, padding=padding_h, dilation=dilation_h)
    out_w = output_size(width, kernel_w, stride=stride_w, padding=padding_w, dilation=dilation_w)
    padded = _surround_with_zeros(images, (padding_h, padding_h), (padding_w, padding_w))

    filters_per_group = num_filters // groups
    outputs = images.new_zeros((num_images, num_filters, out_h, out_w))
    for group in range(groups):
        filters = slice(group * filters_per_group, (group + 1) * filters_per_group)
        seen = slice(group * channels_seen, (group + 1) * channels_seen)
        for row in range(out_h):
            for column in range(out_w):
                # The inputs under the kernel: every `dilation`-th one, from the window's corner.
                top, left = row * stride_h, column * stride_w
                window = padded[
                    :,
                    seen,
                    top : top + dilation_h * (kernel_h - 1) + 1 : dilation_h,
                    left : left + dilation_w * (kernel_w - 1) + 1 : dilation_w,
                ]
                # [B, 1, C/g, kh, kw] * [F/g, C/g, kh, kw], summed to [B, F/g].
                products = window[:, None] * weight[filters]
                outputs[:, filters, row, column] = products.sum(dim=(2, 3, 4))
    return outputs if bias is None else outputs + bias[:, None, None]


def filter_channels(
    images: Tensor,
    kernel: Tensor,
    *,
    stride: Pair = 1,
    padding: Pair | None = None,
    dilation: Pair = 1,
) -> Tensor:
    """Return ``images`` [B, C, H, W] with each channel filtered by the same ``kernel`` [kh, kw].

    If ``padding`` is None, zeros are added to keep the size at stride 1; if their number is odd,
    the extra one goes below and to the right. Raises ValueError if the shapes do not match.
    """
    if images.ndim != 4:
        raise ValueError(f"images must be [B, C, H, W], got shape {tuple(images.shape)}")
    if kernel.ndim != 2:
        raise ValueError(f"the kernel must be [height, width], got shape {tuple(kernel.shape)}")
    if padding is None:
        dilation_h, dilation_w = _pair("dilation", dilation, least=1)
        missing_h = dilation_h * (kernel.shape[0] - 1)
        missing_w = dilation_w * (kernel.shape[1] - 1)
        images = _surround_with_zeros(
            images,
            (missing_h // 2, missing_h - missing_h // 2),
            (missing_w // 2, missing_w - missing_w // 2),
        )
        padding = 0
    # One group per channel, so that each filter sees only one channel.
    channels = images.shape[1]
    weight = kernel.expand(channels, 1, *kernel.shape)
    return convolve(
        images, weight, stride=stride, padding=padding, dilation=dilation, groups=channels
    )


def output_size(size: int, kernel: int, *, stride: int, padding: int, dilation: int) -> int:
    """Return how many positions a kernel has along a side of ``size`` inputs, 1 or more.

    The kernel covers dilation * (kernel - 1) + 1 inputs; it starts at the padded side's beginning
    and moves by ``stride`` while it fits. Raises ValueError if it does not fit at all.
    """
    reach = dilation * (kernel - 1) + 1
    room = size + 2 * padding - reach
    if room < 0:
        raise ValueError(
            f"the kernel covers {reach} inputs, but the padded image has {size + 2 * padding}: "
            "use a larger image, more padding, or a smaller kernel or dilation"
        )
    return room // stride + 1


def _surround_with_zeros(images: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """Add rows (above, below) and columns (left, right) of zeros."""
    num_images, channels, height, width = images.shape
    padded = images.new_zeros(
        (num_images, channels, rows[0] + height + rows[1], columns[0] + width + columns[1])
    )
    padded[:, :, rows[0] : rows[0] + height, columns[0] : columns[0] + width] = images
    return padded


def _pair(name: str, value: Pair, *, least: int) -> tuple[int, int]:
    pair = value if isinstance(value, tuple) else (value, value)
    if len(pair) != 2 or any(not isinstance(one, int) or one < least for one in pair):
        raise ValueError(f"{name} must be an int >= {least} or a pair of them, got {value!r}")
    return pair


def _check_tensors(images: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if images.ndim != 4:
        raise ValueError(f"images must be [B, C, H, W], got shape {tuple(images.shape)}")
    if weight.ndim != 4 or 0 in weight.shape:
        raise ValueError(
            f"weight must be [F, C / groups, kh, kw] and not empty, got shape {tuple(weight.shape)}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"bias must have one value for each of the {weight.shape[0]} filters, "
            f"got shape {tuple(bias.shape)}"
        )
    dtypes = {tensor.dtype for tensor in (images, weight, bias) if tensor is not None}
    if len(dtypes) > 1 or dtypes == {torch.uint8}:
        raise ValueError(
            "images, weight and bias must have one dtype, and not uint8, which cannot hold sums; "
            f"got {', '.join(sorted(map(str, dtypes)))}"
        )


def _check_groups(images: Tensor, weight: Tensor, groups: int) -> None:
    channels, (num_filters, channels_seen) = images.shape[1], weight.shape[:2]
    if groups < 1 or channels % groups or num_filters % groups:
        raise ValueError(
            f"groups must divide the {channels} channels and the {num_filters} filters, "
            f"got {groups}"
        )
    if channels_seen != channels // groups:
        raise ValueError(
            f"a filter must see {channels} / {groups} = {channels // groups} channels, "
            f"got weight of shape {tuple(weight.shape)}"
        )
