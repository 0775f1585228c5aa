"""Derived seeds: every random draw comes from a key, never from global state.

docs/design.md, decision 7, describes the keys.
"""

from __future__ import annotations

import hashlib

__all__ = ["derive_seed"]


def derive_seed(*key: str | int) -> int:
    """Map a key such as ``(study_seed, "order", fold, epoch)`` to a seed in [0, 2**63).

    The same key gives the same seed on every machine and Python version; keys that differ in any
    part give unrelated seeds. Parts are tagged with their type, so ``1`` and ``"1"`` differ.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in key:
        encoded = str(part).encode(errors="surrogatepass")  # a file name may not be UTF-8
        digest.update(f"{type(part).__name__}:{len(encoded)}:".encode())
        digest.update(encoded)
    return int.from_bytes(digest.digest(), "big") >> 1
