"""LocallyConnected2d: a convolution whose weights are not shared between positions (report 004)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import unfold

__all__ = ["LocallyConnected2d"]


class LocallyConnected2d(nn.Module):
    """Maps [B, in, H, W] to [B, out, H', W'], with a separate kernel at each position.

    ``input_size`` is (H, W); H' and W' are as for a Conv2d with the same kernel, stride and zero
    padding. ``weight`` is [positions, out, in * kernel * kernel], with positions row by row and
    inputs as in Conv2d's flattened weight; ``bias`` is [positions, out]. The constructor leaves the
    weights uninitialised; ``initialize`` draws them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        input_size: tuple[int, int],
        stride: int = 1,
        padding: int = 0,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.input_size = input_size
        height, width = ((side + 2 * padding - kernel_size) // stride + 1 for side in input_size)
        assert min(height, width) >= 1, f"{input_size=} is smaller than {kernel_size=}"
        self.output_size = (height, width)
        # Three dimensions: Module.to(memory_format=channels_last) refuses weights of five.
        shape = (height * width, out_channels, in_channels * kernel_size**2)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(shape[:2]))

    @property
    def fans(self) -> tuple[int, int]:
        """Inputs that one output sees, and outputs that one input reaches at stride 1.

        They equal those of a Conv2d with this kernel and do not depend on the number of positions.
        """
        return self.in_channels * self.kernel_size**2, self.out_channels * self.kernel_size**2

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, out, H', W'] for ``x`` of [B, in, H, W]; RuntimeError for another size."""
        if x.shape[1:] != (self.in_channels, *self.input_size):
            raise RuntimeError(
                f"expected images of {(self.in_channels, *self.input_size)}, got {tuple(x.shape)}"
            )
        patches = unfold(x, self.kernel_size, padding=self.padding, stride=self.stride)
        # [L, B, F] @ [L, F, out]: one matrix product per position, all in one call
        outputs = torch.baddbmm(
            self.bias[:, None], patches.permute(2, 0, 1), self.weight.transpose(1, 2)
        )
        # Not by len(x), which an exported graph would keep as a constant.
        return outputs.permute(1, 2, 0).reshape(-1, self.out_channels, *self.output_size)

    def extra_repr(self) -> str:
        """Show the sizes when the model is printed."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"input_size={self.input_size}, stride={self.stride}, padding={self.padding}"
        )
