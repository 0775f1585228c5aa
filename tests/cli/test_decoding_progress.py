"""The progress of decoding: one line on a terminal, few lines in a log, none where it is quick."""

from __future__ import annotations

import io

from searchlab.cli.decoding_progress import CountProgress, make_decoding_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO, seconds_per_step: float, *, num_steps: int = 40) -> str:
    now = 0.0
    progress = CountProgress(stream, "decoding", "decoded", lambda: now)
    for step in range(1, num_steps + 1):
        now += seconds_per_step
        progress(step * 32, num_steps * 32)
    return stream.getvalue()


def test_a_terminal_has_one_line_that_is_written_over_and_cleared() -> None:
    text = show(Terminal(), 1.0)
    assert "\n" not in text
    *lines, last, end = text.split("\r")
    assert (lines[0], lines[-1]) == (
        "decoding images: 32/1,280 (2%)",
        "decoding images: 1,248/1,280 (98%)",
    )
    assert (last.strip(), len(last), end) == ("", len(lines[-1]), "")


def test_a_terminal_is_not_written_to_for_every_file() -> None:
    assert show(Terminal(), 0.001, num_steps=1000).count("decoding") <= 11


def test_a_log_has_a_line_every_ten_seconds_and_one_at_the_end() -> None:
    assert show(io.StringIO(), 1.0).splitlines() == [
        "decoding images: 320/1,280 (25%)",
        "decoding images: 640/1,280 (50%)",
        "decoding images: 960/1,280 (75%)",
        "decoded 1,280 images",
    ]


def test_a_quick_folder_leaves_no_line_in_a_log() -> None:
    assert show(io.StringIO(), 0.1) == ""


def test_quiet_shows_nothing() -> None:
    assert make_decoding_progress(quiet=True) is None
