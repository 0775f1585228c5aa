"""Knowledge distillation (Hinton et al. 2015) as a training step: a small model learns from a big.

    searchlab study run examples/distillation.yaml

Each model has a teacher of its own, trained here on the same images: one that had seen the images
of a fold would make the fold's figures too good. A teacher from elsewhere is loaded in ``begin``.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from searchlab.training.losses import Targets
from searchlab.training.own_step import StepContext


class Distillation:
    """A loss of the labels, and one of what the teacher says of all classes."""

    def __init__(
        self, temperature: float = 3.0, share: float = 0.7, width: int = 128, epochs: int = 10
    ) -> None:
        self.temperature, self.share, self.width, self.epochs = temperature, share, width, epochs

    def begin(self, context: StepContext) -> None:
        """Train the teacher."""
        self.context = context
        images, _ = context.fetch(context.indices[:1])
        size, classes = images[0].numel(), context.num_classes
        hidden = [nn.Linear(size, self.width), nn.ReLU(), nn.Dropout(0.3)]
        self.teacher = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(self.width, classes))
        self.teacher.to(images.device)
        optimizer = torch.optim.Adam(self.teacher.parameters(), lr=3e-3)
        for _ in range(self.epochs):
            order = torch.randperm(len(context.indices)).to(context.indices.device)
            for batch in context.indices[order].split(64):
                images, labels = context.fetch(batch)
                optimizer.zero_grad()
                cross_entropy(self.teacher(context.normalize(images)), labels).backward()
                optimizer.step()
        self.teacher.eval().requires_grad_(False)

    def loss(self, inputs: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """Return the mean loss of a batch, and the student's logits."""
        logits = self.context.predict(self.context.model, inputs)
        wanted = softmax(self.teacher(inputs) / self.temperature, 1)
        found = log_softmax(logits / self.temperature, 1)
        taught = kl_div(found, wanted, reduction="batchmean") * self.temperature**2
        return self.share * taught + (1 - self.share) * self.context.loss(logits, targets), logits

    def state(self) -> Mapping[str, Tensor]:
        """Return what a checkpoint keeps."""
        return self.teacher.state_dict()
