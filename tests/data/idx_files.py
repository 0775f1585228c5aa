"""Files in the format of MNIST, for tests."""

from __future__ import annotations

from pathlib import Path


def write_blank_images(path: Path, count: int) -> None:
    header = idx_header(3, count, 28, 28)
    path.write_bytes(header)
    with path.open("r+b") as file:
        file.truncate(len(header) + count * 28 * 28)


def idx_header(num_axes: int, *sizes: int) -> bytes:
    return bytes([0, 0, 8, num_axes]) + b"".join(size.to_bytes(4, "big") for size in sizes)
