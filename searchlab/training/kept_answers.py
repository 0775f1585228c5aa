"""A model's single answers to the test images, kept in the record: what a verdict is tested on."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from searchlab.config.metrics import get_metric

if TYPE_CHECKING:
    from searchlab.training.metrics import Answers

__all__ = ["TestAnswers", "keep_answers"]

_CLASS, _LOSS = np.dtype("<u2"), np.dtype("<f4")
_MAX_BYTES = 2**28  # an import may be made by anybody, and a few bytes may unpack to gigabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TestAnswers:
    """The true and the predicted class of each test image, as text; ``losses`` if they count.

    About 10 kB for 10,000 images of ten classes, 50 kB more with losses.
    """

    __test__ = False  # not pytest's

    labels: str
    guesses: str
    losses: str | None = None

    def read_labels(self) -> npt.NDArray[np.int64]:
        """Return the true classes: int64 [N]."""
        return _unpack(self.labels, _CLASS).astype(np.int64)

    def read_guesses(self) -> npt.NDArray[np.int64]:
        """Return the predicted classes: int64 [N]."""
        return _unpack(self.guesses, _CLASS).astype(np.int64)

    def read_losses(self) -> npt.NDArray[np.float64] | None:
        """Return the losses: float64 [N], or None if they were not kept."""
        return None if self.losses is None else _unpack(self.losses, _LOSS).astype(np.float64)


def keep_answers(answers: Answers, metric: str) -> TestAnswers:
    """Keep what ``metric`` is measured on; answers under an attack if it is of those."""
    from torch.nn.functional import cross_entropy

    of = answers.attacked if get_metric(metric).needs == "robustness" else answers
    assert of is not None
    losses = None
    if get_metric(metric).image_score == "loss":
        losses = cross_entropy(of.logits, of.labels, reduction="none").cpu().numpy()
    return TestAnswers(
        labels=_pack(of.labels.cpu().numpy(), _CLASS),
        guesses=_pack(of.guesses.cpu().numpy(), _CLASS),
        losses=None if losses is None else _pack(losses, _LOSS),
    )


def _pack(values: npt.NDArray[Any], kind: np.dtype[Any]) -> str:
    return base64.b64encode(zlib.compress(values.astype(kind).tobytes(), 9)).decode()


def _unpack(text: str, kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Raise ValueError if the text was not written by ``_pack``."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(base64.b64decode(text, validate=True), _MAX_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacker.eof:
        raise ValueError(f"must be complete and at most {_MAX_BYTES:,} bytes")
    return np.frombuffer(content, kind)
