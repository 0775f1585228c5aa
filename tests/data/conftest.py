from __future__ import annotations

import bz2
from pathlib import Path

import pytest
from idx_files import idx_header, write_blank_images

_FASHION_MNIST = {"train": 60_000, "t10k": 10_000}
_USPS = {"usps.bz2": 7_291, "usps.t.bz2": 2_007}


@pytest.fixture(scope="session")
def blank_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with files of the right format and size: blank images, labels in turn."""
    root = tmp_path_factory.mktemp("blank-data")
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in _FASHION_MNIST.items():
        write_blank_images(raw / f"{part}-images-idx3-ubyte", count)
        labels = bytes(index % 10 for index in range(count))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx_header(1, count) + labels)
    for kin in ("MNIST", "KMNIST"):
        (root / kin).symlink_to("FashionMNIST")
    for file, count in _USPS.items():
        # Streams of ten lines, one after another: packing the whole takes seconds.
        streams = bz2.compress(_blank_lines(10)) * (count // 10)
        (root / file).write_bytes(streams + bz2.compress(_blank_lines(count % 10)))
    return root


def _blank_lines(count: int) -> bytes:
    pixels = " ".join(f"{place}:-1" for place in range(1, 257))
    return "".join(f"{label} {pixels}\n" for label in range(1, count + 1)).encode()
