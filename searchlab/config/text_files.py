"""Reading text files that people wrote, in whichever encoding their editor chose."""

from __future__ import annotations

import codecs
from pathlib import Path

from searchlab.errors import InputError

__all__ = ["decode_text", "read_text"]

# UTF-32 before UTF-16, because its mark begins with the other's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_text(path: Path, *, most_bytes: int, where: str) -> str:
    """Return a file's text, with ``\\n`` for each line break.

    Raises InputError, which begins with ``where``, if the file cannot be read, is longer than
    ``most_bytes``, or is no text. A device or a pipe is read no further than that either.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise InputError("does not exist", where=where) from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise InputError(f"cannot be read: {error}", where=where) from error
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
