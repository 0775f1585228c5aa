"""Text from outside, such as file names, shown so that it cannot steer a terminal."""

from __future__ import annotations

import re

__all__ = ["escape_controls", "escape_line"]

# C0 and C1 controls, and DEL; what reorders the text around it (Unicode's Bidi_Control); the
# separators that end a line; and the surrogates that stand for bytes of a file name that are no
# UTF-8.
_LINE_ENDS = "\t\n"
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escape_line(text: str) -> str:
    r"""Return ``text`` as one line: every control character as Python writes it, ``\x1b``.

    >>> print(escape_line("cat\x1b[2J\n"))
    cat\x1b[2J\n
    """
    return _CONTROLS.sub(_escape, text)


def escape_controls(text: str) -> str:
    """Return ``text`` as ``escape_line`` does, but with its line ends and tabs."""
    return _CONTROLS.sub(lambda match: match[0] if match[0] in _LINE_ENDS else _escape(match), text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
