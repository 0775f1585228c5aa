"""Running out of memory: freeing it, recording it, and splitting batches afterwards."""

from __future__ import annotations

import gc
import traceback
from pathlib import Path

import torch

from searchlab.training.durable_files import replace_file, write_bytes

__all__ = [
    "BATCH_SPLIT",
    "choose_batch_split",
    "count_memory_failures",
    "free_memory",
    "note_killed_for_memory",
    "release_frames",
]

BATCH_SPLIT = 4
"""The number of parts of a batch after memory has run out."""


def note_killed_for_memory(folder: Path, number: int) -> int:
    """Record beside its checkpoints that trial ``number`` ran out of memory; return how often.

    The driver calls it if the host killed the trial's worker; a surviving worker records it itself.
    So wherever the trial continues, its batches are not tried whole again.
    """
    count = count_memory_failures(folder, number) + 1
    content = str(count).encode()
    replace_file(_note_path(folder, number), lambda beside: write_bytes(beside, content))
    return count


def count_memory_failures(folder: Path, number: int) -> int:
    """Return how often a trial has run out of memory."""
    try:
        return int(_note_path(folder, number).read_bytes())
    except FileNotFoundError:
        return 0
    except ValueError:  # damaged, but it exists
        return 1


def choose_batch_split(folder: Path, number: int) -> int:
    """Return the number of parts in which to train a trial's batches.

    Raises MemoryError if memory already ran out with split batches.
    """
    count = count_memory_failures(folder, number)
    if count > 1:
        raise MemoryError(
            f"trial {number} ran out of memory or was killed for memory twice, "
            f"the second time with its batches split into {BATCH_SPLIT} parts"
        )
    return BATCH_SPLIT if count else 1


def release_frames(error: BaseException) -> None:
    """Clear the frames that an error passed through, which hold models and tensors.

    Log the traceback before calling this.
    """
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            traceback.clear_frames(link.__traceback__)
            link.__traceback__ = None  # a cleared frame keeps its function, which keeps its closure
            links += [link.__cause__, link.__context__]


def free_memory() -> None:
    """Release unreferenced memory, including CUDA's cached blocks."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _note_path(folder: Path, number: int) -> Path:
    return folder / f"trial-{number:05d}.memory"
