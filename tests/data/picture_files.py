"""Trees of small image files for tests: each class has a colour, each file a shade of its own."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

CLASSES = {"ant": (200, 0, 0), "bee": (0, 200, 0), "cat": (0, 0, 200)}


def write_picture(
    path: Path, colour: tuple[int, int, int] = (90, 90, 90), *, side: int = 16
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), colour).save(path)


def write_tree(folder: Path, *, per_class: int, side: int = 16) -> Path:
    """Fill ``folder`` with CLASS/0.png, CLASS/1.png, ...: blue channel, or red, tells which."""
    for name, (red, green, blue) in CLASSES.items():
        for index in range(per_class):
            write_picture(folder / name / f"{index}.png", (red + index, green, blue), side=side)
    return folder


def write_split_tree(root: Path, *, test: str = "test", train: int = 4, held: int = 2) -> Path:
    write_tree(root / "train", per_class=train)
    write_tree(root / test, per_class=held)
    return root


def write_foreign_heif(path: Path) -> None:
    """Write what begins as an AVIF but is coded otherwise, as many phones' HEIC files are."""
    Image.new("RGB", (64, 64)).save(path, format="AVIF")
    path.write_bytes(path.read_bytes().replace(b"av01", b"hvc1"))
