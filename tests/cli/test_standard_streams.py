"""Output streams in every state that a shell may leave them in: nothing is lost but the output."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from searchlab import data
from searchlab.cli.main import main
from searchlab.cli.standard_streams import GuardedStream

LIST = f"{sys.executable} -m searchlab space families"


def _shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env={**os.environ, **environment}
    )


@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        ("> /dev/full", 3, "standard output cannot be written: No space left on device"),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        ("2> /dev/full", 0, ""),
        ("| true; exit ${PIPESTATUS[0]}", 141, ""),
    ],
)
def test_a_command_ends_orderly_whatever_its_streams_are(
    redirection: str, code: int, message: str
) -> None:
    done = _shell(f"{LIST} {redirection}")
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_an_output_that_lacks_characters_gets_them_written_plainly(
    environment: dict[str, str],
) -> None:
    code = (
        "from searchlab.cli.terminal import escaped_output, make_console\n"
        "with escaped_output():\n"
        "    print('46.00 \\u00b1 18.38 \\u2013 \\u732b')\n"
        "    make_console().print('46.00 \\u00b1 18.38')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    plain = done.stdout.decode("latin-1").replace("\xb1", "+-")
    assert plain == "46.00 +- 18.38 - \\u732b\n46.00 +- 18.38\n"


def test_a_file_that_is_opened_does_not_take_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "from searchlab.cli.terminal import escaped_output\n"
        "with escaped_output():\n"
        f"    file = open({str(tmp_path / 'study.db')!r}, 'w')\n"
        "    assert file.fileno() > 2, file.fileno()\n"
        "    print('progress', flush=True)\n"
        "    os.write(1, b'what a library prints')\n"
        "    assert all(map(os.get_inheritable, range(3))), 'a child needs them as well'\n"
    )
    done = _shell(f'{sys.executable} -c "{code}" >&- 2>&- <&-')
    assert done.returncode == 0
    assert (tmp_path / "study.db").read_text() == ""


def test_a_slow_reader_gets_everything_from_an_output_that_is_set_not_to_wait() -> None:
    code = (
        "from searchlab.cli.terminal import escaped_output\n"
        "with escaped_output():\n"
        "    for _ in range(300): print('x' * 999)\n"
        "import sys; sys.stderr.write('written')\n"
    )
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        assert process.stderr is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2)  # the pipe, which holds a fifth of it, is full by then
        with os.fdopen(reader, "rb") as pipe:
            assert len(pipe.read()) == 300_000
        assert process.stderr.read() == b"written"


class _Failing(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_after_a_failure_nothing_is_written_and_the_reason_is_kept() -> None:
    stream = GuardedStream(_Failing())
    for _ in range(3):
        assert stream.write("progress") == 8
    stream.flush()
    assert isinstance(stream.failure, BrokenPipeError)


def test_a_connection_that_breaks_does_not_end_a_command_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(data, "resolve_data_dir", fail)
    with pytest.raises(ConnectionError, match="a connection was lost"):
        main(["data", "list"])
