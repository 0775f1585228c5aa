"""Images in a file that is too large for memory: read by the batch, the next batches beforehand."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

__all__ = ["StoredImages"]

_MOST_AHEAD_BYTES = 2**26
"""Of the batches that are read beforehand; one is in any case."""


class StoredImages:
    """The images of a ``.npy`` file, uint8 [N, C, H, W], indexed like a tensor on the CPU.

    They are read, not mapped: mapped pages would count as this process's memory. A thread reads
    what ``expect`` announces while another trains.
    """

    device = torch.device("cpu")

    def __init__(self, path: Path) -> None:
        mapped = np.load(path, mmap_mode="r")
        assert mapped.dtype == np.uint8, mapped.dtype
        self.shape: torch.Size = torch.Size(mapped.shape)
        self._start: int = mapped.offset
        self._image_bytes = math.prod(self.shape[1:])
        self._file = path.open("rb", buffering=0)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._expected: Iterator[Tensor] = iter(())
        self._ahead: deque[tuple[Tensor, Future[Tensor]]] = deque()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: Tensor) -> Tensor:
        """Return the images at indices [B]; those that were expected next are there already."""
        if not self._ahead or not torch.equal(self._ahead[0][0], indices):
            return self._read(indices)
        _, reading = self._ahead.popleft()
        self._read_ahead()
        return reading.result()

    def expect(self, batches: Iterable[Tensor]) -> None:
        """Begin to read the batches [B] that will be asked for, in this order."""
        for _, reading in self._ahead:
            reading.cancel()
        self._ahead.clear()
        self._expected = iter(batches)
        self._read_ahead()

    def _read_ahead(self) -> None:
        waiting = sum(len(batch) for batch, _ in self._ahead) * self._image_bytes
        while not self._ahead or waiting < _MOST_AHEAD_BYTES:
            batch = next(self._expected, None)
            if batch is None:
                return
            self._ahead.append((batch, self._reader.submit(self._read, batch)))
            waiting += len(batch) * self._image_bytes

    def _read(self, indices: Tensor) -> Tensor:
        images = torch.empty((len(indices), *self.shape[1:]), dtype=torch.uint8)
        for image, index in zip(images.numpy(), indices.tolist(), strict=True):
            place, unread = self._start + index * self._image_bytes, memoryview(image.reshape(-1))
            while unread:
                count = os.preadv(self._file.fileno(), [unread], place)
                if not count:
                    raise OSError(f"{self._file.name} ends before image {index}")
                unread, place = unread[count:], place + count
        return images
