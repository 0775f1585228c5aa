"""Writing tensors in the safetensors format, piece by piece, with a digest of the bytes.

``safetensors.torch.save_file`` writes a randomly named file beside its target, which stays if the
process is killed, and ``save`` needs the memory of all tensors a second time.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["hash_file", "write_tensors"]

_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
_ALIGNMENT = 8
_BUFFER = 2**20


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Write a file that ``safe_open`` reads, flush it to the disk; return the digest of its bytes.

    Raises OSError, for example on a full disk; then a partial file stays at ``path``. The format is
    that of github.com/huggingface/safetensors.
    """
    digest = hashlib.blake2b()
    pieces = list(_pieces(tensors, metadata))
    with path.open("wb", buffering=_BUFFER) as file, ThreadPoolExecutor(max_workers=1) as beside:
        for piece in pieces:
            file.write(piece)
        file.flush()
        # Flush while computing the digest: one after the other takes 11 ms instead of 7 for 6.4 MB
        # in 100 tensors, which save_file and fsync write in 6.
        synced = beside.submit(os.fsync, file.fileno())
        for piece in pieces:
            digest.update(piece)
        synced.result()
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """Return the digest of a file's bytes, as ``write_tensors`` computes it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _pieces(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Iterator[memoryview]:
    # The largest elements first, so that each starts at a multiple of its size.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name in names:
        tensor = tensors[name]
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    yield memoryview(struct.pack("<Q", len(text)) + text)
    for name in names:
        if tensors[name].numel():
            yield _bytes_of(tensors[name])


def _bytes_of(tensor: Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
