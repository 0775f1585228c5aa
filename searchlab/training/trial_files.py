"""The names of a trial's files: without torch, for those who only look whether they are there."""

from __future__ import annotations

from pathlib import Path

__all__ = ["file_stem", "model_path"]


def file_stem(number: int) -> str:
    """Return how the names of all files of trial ``number`` begin."""
    return f"trial-{number:05d}"


def model_path(folder: Path, number: int) -> Path:
    """Return the path of trial ``number``'s finished model."""
    return folder / f"{file_stem(number)}.safetensors"
