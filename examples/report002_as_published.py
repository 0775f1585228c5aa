"""Report 002's two networks as its listing prints them, mistakes included, as a plugin.

The report trains them with Adam, lr 3.35e-4, batches of 128, 60 epochs, and prints peaks of
34.9 / 38.0 / 39.4 % (NetA1: HF, HT, DT) and 70.3 / 70.6 / 79.6 % (NetA2). It attributes the gap
between the two to the second convolution. The end of ``forward`` matters more:

1. ``relu(linear1(x))``: ReLU on the logits. A class whose logit is negative for an image gets no
   gradient from it, and one that is negative for every image is dead: it is never learned.
2. ``Softmax(dim=0)``: dimension 0 is the batch. Each *class* is normalised over the *images*, so an
   image's prediction depends on which others share its batch. An image alone gets 1.0 for every
   class, whatever the weights.
3. ``CrossEntropyLoss`` then applies log-softmax once more. Its inputs are positive and sum to 1
   over the images of a batch: with 10 classes in batches of 128, if all images of a class are to
   have an equal value, it is at most about 1/13. So the loss stays between ln 10 = 2.303, which is
   guessing, and about 2.23, and gradients are always small.

Measured on FashionMNIST (DT, 4 epochs, 4 seeds): NetA1 33 to 42 % with 6 to 9 of 10 classes alive,
NetA2 25 to 34 % with 4 or 5. The accuracy follows the number of classes that survive the first
steps, which is luck, not the architecture. Shuffling the test images changes 5 to 16 % of the
predictions. With one image at a time, accuracy is 10 %. The same convolutions with raw logits and
an ordinary cross-entropy reach 80 % (NetA1) and 76 % (NetA2) after 2 epochs.

report002_as_published.yaml compares them, starting from the same initial weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from searchlab.errors import InputError
from searchlab.models import ImageShape, register_family
from searchlab.models.parameters import FamilyParameters

PUBLISHED_BATCH = 128


class PublishedParameters(FamilyParameters):
    """No parameters: the published networks are fixed."""


@register_family(first_conv="conv1")
def a1_as_published(
    parameters: PublishedParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Report 002's NetA1 with softmax over the batch, a mistake kept on purpose."""
    return _PublishedNetwork(image_shape, num_classes, num_convolutions=1)


@register_family(first_conv="conv1")
def a2_as_published(
    parameters: PublishedParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Report 002's NetA2 with softmax over the batch, a mistake kept on purpose."""
    return _PublishedNetwork(image_shape, num_classes, num_convolutions=2)


class _PublishedNetwork(nn.Module):
    """4 filters of 5x5, then (NetA2) 12 of 3x3, all with stride 2, and one linear layer.

    The published networks have no dropout, so a study must not search it.
    """

    def __init__(self, image_shape: ImageShape, num_classes: int, *, num_convolutions: int) -> None:
        super().__init__()
        channels, *sides = image_shape
        smallest = (5, 9)[num_convolutions - 1]
        if min(sides) < smallest:
            raise InputError(f"needs images of at least {smallest}x{smallest} pixels")
        self.conv1 = nn.Conv2d(channels, 4, kernel_size=5, stride=2)
        self.relu = nn.ReLU()
        height, width = ((side - 5) // 2 + 1 for side in sides)
        num_filters = 4
        self.conv2: nn.Conv2d | None = None
        if num_convolutions == 2:
            self.conv2 = nn.Conv2d(4, 12, kernel_size=3, stride=2)
            height, width = ((side - 3) // 2 + 1 for side in (height, width))
            num_filters = 12
        self.flatten = nn.Flatten()
        # 576 or 300 features for 28x28, as in the report.
        self.fc1 = nn.Linear(num_filters * height * width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, num_classes]; each column sums to 1 over a batch of 128."""
        x = self.relu(self.conv1(images))
        if self.conv2 is not None:
            x = self.relu(self.conv2(x))
        logits = self.relu(self.fc1(self.flatten(x)))  # mistake 1
        return softmax_over_batch(logits)


def softmax_over_batch(logits: Tensor) -> Tensor:
    """Apply mistake 2, softmax over dimension 0, in batches of 128, as in the report's evaluation.

    searchlab evaluates in larger batches, in which the figures would differ: that alone shows that
    they are not a property of the network. Mistake 3 is to pass the result to a cross-entropy.
    """
    return torch.cat([torch.softmax(batch, dim=0) for batch in logits.split(PUBLISHED_BATCH)])
