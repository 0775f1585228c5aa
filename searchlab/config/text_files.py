"""Reading text files that people wrote, in whichever encoding their editor chose."""

from __future__ import annotations

import codecs
from itertools import islice
from pathlib import Path

from searchlab.errors import InputError, did_you_mean

__all__ = ["decode_text", "near_paths", "read_text"]

# UTF-32 before UTF-16, because its mark begins with the other's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_MANY_FILES = 1000


def near_paths(path: Path, *, folders: bool = False) -> str | None:
    """Return a remedy for a path that does not exist: paths beside it with similar names.

    Only files with the same ending count, or YAML files if the path has none; with ``folders``,
    only folders. Names are compared without their endings.
    """
    yaml = (".yaml", ".yml")
    endings = yaml if path.suffix in ("", *yaml) else (path.suffix,)
    try:
        names = [
            entry.name
            for entry in islice(path.parent.iterdir(), _MANY_FILES)
            if (entry.is_dir() if folders else entry.suffix in endings)
        ]
    except FileNotFoundError:
        return f"There is no folder {path.parent}"
    except OSError:
        return None
    by_stem = {Path(name).stem: name for name in names if not name.startswith(".")}

    def show(stem: str) -> str:
        return str(path.parent / by_stem[stem])

    return did_you_mean(path.stem, by_stem, shown=show) if by_stem else None


def read_text(path: Path, *, most_bytes: int, where: str, if_missing: str | None = None) -> str:
    """Return a file's text, with ``\\n`` for each line break.

    Raises InputError, which begins with ``where``, if the file cannot be read, is longer than
    ``most_bytes``, or is not text. ``if_missing`` is the remedy if no file has a similar name. A
    device or a pipe is read no further than that either.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except FileNotFoundError:
        remedy = near_paths(path) or if_missing
        raise InputError("does not exist", where=where, remedy=remedy) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=where) from error
    if len(content) > most_bytes:
        raise InputError(f"may hold {most_bytes:,} bytes at most", where=where)
    return decode_text(content, where=where)


def decode_text(content: bytes, *, where: str) -> str:
    """Return the text that some bytes hold: UTF-8, or what a byte-order mark at the start names.

    PowerShell writes UTF-16 with such a mark, Windows editors UTF-8 with one. Raises InputError.
    """
    mark, encoding = next((m for m in _MARKS if content.startswith(m[0])), (b"", "utf-8"))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{error.object[error.start]:02x} in line {line}"
        raise _is_no_text(encoding, found, where) from None
    if "\0" in text:  # UTF-16 without its mark, or no text at all
        raise _is_no_text(encoding, "it holds zero bytes", where)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_no_text(encoding: str, found: str, where: str) -> InputError:
    name = encoding.upper()
    return InputError(f"is not {name} text ({found})", where=where, remedy="Save it as UTF-8")
