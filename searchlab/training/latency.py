"""Measuring the time of one image's forward pass on this machine."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from searchlab.config.settings import Precision
from searchlab.training.inference import predict

__all__ = ["measure_latency"]

_WARM_UP = 5
_REPEATS = 50


def measure_latency(
    model: nn.Module,
    image_shape: tuple[int, int, int],
    device: torch.device,
    *,
    precision: Precision = "float32",
    average_flips: bool = False,
) -> float:
    """Return the median milliseconds of an answer on one image, in eval mode.

    It is the median, because other trials on the machine can only slow a pass down.
    """
    image = torch.zeros((1, *image_shape), device=device).to(memory_format=torch.channels_last)
    was_training = model.training
    model.eval()
    seconds: list[float] = []
    with torch.inference_mode():
        for _ in range(_WARM_UP + _REPEATS):
            start = time.perf_counter()
            predict(model, image, precision, average_flips=average_flips)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
    model.train(was_training)
    return 1000 * statistics.median(seconds[_WARM_UP:])
