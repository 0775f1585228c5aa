"""Your own network as it is: a class, with ``@register_network`` above it.

    searchlab study run examples/my_network.yaml

A space searches its arguments: here ``width`` and ``attention_heads``. searchlab gives
``in_channels`` and ``num_classes``, and would give ``image_shape`` and ``dropout`` too. For more,
such as bounds of parameters and one value per layer, see ``my_family.py``.
"""

import torch
from torch import Tensor, nn

from searchlab.models import register_network


@register_network
class AttentionPooling(nn.Module):
    """A convolution whose map is pooled by attention from a learnt query."""

    def __init__(
        self, in_channels: int, num_classes: int, width: int = 32, attention_heads: int = 2
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, padding=1)
        self.query = nn.Parameter(torch.randn(1, 1, width))
        self.pool = nn.MultiheadAttention(width, attention_heads, dropout=0.1, batch_first=True)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, num_classes] for images [B, C, H, W]."""
        tokens = self.conv(images).relu().flatten(2).transpose(1, 2)
        pooled, _ = self.pool(self.query.expand(len(images), -1, -1), tokens, tokens)
        return self.head(pooled.squeeze(1))
