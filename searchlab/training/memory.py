"""Running out of memory: what is freed, what is noted, and how far batches are then cut."""

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
"""In how many parts a batch is trained once memory has run out."""


def note_killed_for_memory(folder: Path, number: int) -> int:
    """Note beside its checkpoints that trial ``number`` met the end of memory; return how often.

    For the driver, when the host has killed the trial's worker; a worker that lived notes it
    itself, so that wherever the trial is taken up again, it is not tried whole once more.
    """
    count = count_memory_failures(folder, number) + 1
    content = str(count).encode()
    replace_file(_note_path(folder, number), lambda beside: write_bytes(beside, content))
    return count


def count_memory_failures(folder: Path, number: int) -> int:
    """Return how often memory has run out under a trial."""
    try:
        return int(_note_path(folder, number).read_bytes())
    except FileNotFoundError:
        return 0
    except ValueError:  # damaged, but there
        return 1


def choose_batch_split(folder: Path, number: int) -> int:
    """Return in how many parts a trial's batches are to be trained.

    Raises MemoryError where memory ran out under parts already.
    """
    count = count_memory_failures(folder, number)
    if count > 1:
        raise MemoryError(
            f"trial {number} ran out of memory or was killed for memory twice, "
            f"the second time with its batches cut in {BATCH_SPLIT} parts"
        )
    return BATCH_SPLIT if count else 1


def release_frames(error: BaseException) -> None:
    """Empty and forget the frames that an error passed through, which hold models and tensors.

    What is to be said of the traceback must have been said before.
    """
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            traceback.clear_frames(link.__traceback__)
            link.__traceback__ = None  # an emptied frame keeps its function, and that its closure
            links += [link.__cause__, link.__context__]


def free_memory() -> None:
    """Hand back what nothing refers to any more, CUDA's cached blocks included."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _note_path(folder: Path, number: int) -> Path:
    return folder / f"trial-{number:05d}.memory"
