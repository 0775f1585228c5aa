"""Image files that nobody sorted into classes: found in folders, and decoded one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from searchlab.config.dataset import Fit
from searchlab.data.decoding import UnusableImageError, count_threads, decode_image
from searchlab.data.folder_listing import is_folder, list_folder
from searchlab.data.image_data import Images
from searchlab.data.image_tree import find_reason
from searchlab.data.pil_setup import naming, opening_images
from searchlab.data.unread_files import Unread, UnreadFiles
from searchlab.errors import InputError

__all__ = ["FoundImages", "Unreadable", "find_images", "read_images"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundImages:
    """Image files in order; ``unread`` counts what else lies in the folders."""

    paths: tuple[Path, ...]
    unread: tuple[Unread, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a file was not decoded, as the rule that it breaks."""

    rule: str


def find_images(places: Iterable[Path]) -> FoundImages:
    """Return the files that are named, and the images in the folders that are, at any depth.

    A file that is named counts as an image, whatever it is. Raises InputError naming a folder that
    cannot be read.
    """
    found: list[Path] = []
    unread: list[Unread] = []
    with opening_images():
        for place in places:
            if not is_folder(place):
                found.append(place)
                continue
            counter = UnreadFiles(place)
            status = place.stat()
            found += _walk(place, counter, {(status.st_dev, status.st_ino)})
            unread += counter.listing()
    return FoundImages(paths=tuple(found), unread=tuple(unread))


def _walk(folder: Path, unread: UnreadFiles, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield a folder's images and those below it; a link may lead back."""
    folders = []
    for entry in list_folder(folder):
        if entry.kind == "folder" and not entry.is_hidden:
            if entry.identity not in seen:
                seen.add(entry.identity)
                folders.append(entry.path)
        elif (reason := find_reason(entry)) is not None:
            unread.add(reason, entry.path)
        else:
            yield entry.path
    for below in folders:
        yield from _walk(below, unread, seen)


def read_images(
    paths: Sequence[Path], *, size: int, fit: Fit = "crop", bits: int | None = None
) -> list[Images | Unreadable]:
    """Decode files as a training set is decoded: uint8 [3, size, size] each, in order.

    ``bits`` is the depth of the training set's files of 16 bits. A file that cannot be read, for
    whatever reason, does not stop the others.
    """

    def read(path: Path) -> Images | Unreadable:
        try:
            if not path.is_file():  # opening a pipe would wait for its other end
                return Unreadable("is not a file" if path.exists() else "does not exist")
            with naming(path):
                return decode_image(path, size, fit=fit, bits=bits).pixels
        except UnusableImageError as error:
            return Unreadable(str(error))
        except InputError as error:
            return Unreadable(error.rule)
        except OSError as error:
            return Unreadable(f"cannot be read ({error.strerror or error})")

    with (
        opening_images(),
        ThreadPoolExecutor(count_threads(), thread_name_prefix="decode") as pool,
    ):
        return list(pool.map(read, paths))
