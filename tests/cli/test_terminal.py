"""Names and records from outside cannot steer the terminal, whichever command shows them."""

from __future__ import annotations

import ast
import io
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from command_line import run_searchlab
from optuna.trial import TrialState, create_trial
from PIL import Image
from rich.console import Console
from toy_runs import make_toy

from searchlab import data
from searchlab.cli.progress import LiveProgress
from searchlab.cli.terminal import EscapingStream, escaped_output, make_console
from searchlab.errors import InputError, InterruptedStudyError, SearchlabError
from searchlab.report.layout import plain_text

ROOT = Path(__file__).parents[2]
HOSTILE = "\x1b]0;owned\x07\x1b[2Jcnn\r\x9b31m\u202e"
SHOWN = r"\x1b]0;owned\x07\x1b[2Jcnn\r\x9b31m\u202e"
STYLES = re.compile("\x1b\\[[0-9;]*m")


def find_controls(text: str) -> list[str]:
    return sorted(set(re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)))


@pytest.fixture
def forged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder with a study whose record holds control characters, as an import may."""
    monkeypatch.setenv("SEARCHLAB_RUNS", str(tmp_path / "runs"))
    run = make_toy(tmp_path / "runs")
    study = optuna.load_study(study_name=None, storage=run.storage_url(None))
    for role in ("search", "baseline"):
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                value=0.9,
                params={"family": HOSTILE},
                distributions={"family": optuna.distributions.CategoricalDistribution([HOSTILE])},
                user_attrs={"role": role, "label": HOSTILE, "epochs": 2, "seconds": 1.0},
            )
        )
    study.add_trial(
        create_trial(
            state=TrialState.FAIL,
            user_attrs={
                "role": "search", "label": HOSTILE, "host": HOSTILE, "failure": HOSTILE,
                "stop_reason": HOSTILE, "error": HOSTILE,
            },
        )
    )  # fmt: skip
    study.set_user_attr("host", HOSTILE)
    return tmp_path / "runs"


@pytest.mark.parametrize(
    "command",
    [
        ("study", "leaderboard", "toy", "--all"),
        ("study", "leaderboard", "toy", "--all", "--markdown"),
        ("study", "leaderboard", "toy", "--all", "--json"),
        ("study", "status", "toy"),
        ("study", "best", "toy"),
        ("study", "best", "toy", "--json"),
        ("study", "list"),
        ("doctor", "toy"),
    ],
    ids=" ".join,
)
def test_a_record_is_shown_escaped(command: tuple[str, ...], forged: Path) -> None:
    outcome = run_searchlab(*command)
    assert find_controls(outcome.out + outcome.err) == []
    if "--json" not in command and command[0] == "study":
        assert r"\x1b]0;owned\x07" in outcome.out


def read_terminal(*arguments: str) -> str:
    """Run a command whose stdout and stderr are a terminal; return what it gets."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "searchlab", *arguments],
        cwd=ROOT, stdout=its, stderr=its, env={**os.environ, "COLUMNS": "200", "TERM": "xterm"},
    )  # fmt: skip
    os.close(its)
    output = b""
    try:
        while piece := os.read(ours, 65_536):
            output += piece
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
        process.wait()
    return output.decode()


def test_on_a_terminal_only_our_own_styles_are_left(forged: Path) -> None:
    text = read_terminal("study", "leaderboard", "toy", "--all").replace("\r\n", "\n")
    assert SHOWN in text
    assert STYLES.search(text)
    assert find_controls(STYLES.sub("", text)) == []


class TestFolders:
    def ask(self, root: Path, data_dir: Path) -> str:
        outcome = run_searchlab(
            "data", "cache", "folder", "--root", root, "--size", 8, "--data-dir", data_dir,
        )  # fmt: skip
        assert outcome.code == 2
        return outcome.err

    def test_a_class_folder_in_an_error(self, tmp_path: Path) -> None:
        for name in ("ant", f"{HOSTILE}\nbee"):
            (tmp_path / "pictures" / name).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "pictures" / "ant" / "0.png")
        Image.new("RGB", (9, 9)).save(tmp_path / "pictures" / "ant" / "1.png")
        error = self.ask(tmp_path / "pictures", tmp_path / "data")
        assert find_controls(error) == []
        assert f"{SHOWN}\\nbee" in error

    def test_a_file_in_an_error(self, tmp_path: Path) -> None:
        for name in ("ant", "bee"):
            (tmp_path / "pictures" / name).mkdir(parents=True)
            for index in range(2):
                (tmp_path / "pictures" / name / f"{HOSTILE}{index}.png").write_text("no image")
        error = self.ask(tmp_path / "pictures", tmp_path / "data")
        assert find_controls(error) == []
        assert SHOWN in error


def test_what_others_write_is_escaped_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with escaped_output():
        handler = logging.StreamHandler()
        handler.emit(logging.makeLogRecord({"msg": f"log {HOSTILE}"}))
        sys.stderr.write(f"text {HOSTILE}\n")
    text = stream.getvalue()
    for piece in (f"log {SHOWN}", f"text {SHOWN}"):
        assert piece in text
    assert find_controls(text) == []
    assert sys.stderr is stream


def test_the_traceback_of_a_bug_is_shown_escaped_and_without_passwords() -> None:
    code = (
        "from searchlab import data\n"
        "from searchlab.cli.main import main\n"
        f"def fail(_): raise ValueError({HOSTILE!r} + ' postgresql://me:' + 'geheim@h/x')\n"
        "data.resolve_data_dir = fail\n"
        "main(['data', 'list'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert f"ValueError: {SHOWN} postgresql://me:***@h/x" in done.stderr
    assert find_controls(done.stderr) == []


@pytest.mark.parametrize("kind", [SearchlabError, InputError, InterruptedStudyError])
def test_an_error_is_shown_escaped_and_whole(
    kind: type[SearchlabError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise kind(HOSTILE)

    monkeypatch.setattr(data, "resolve_data_dir", lambda _: fail())
    outcome = run_searchlab("data", "list")
    assert outcome.err.endswith(f"{SHOWN}\n")
    assert find_controls(outcome.err) == []


def test_a_path_in_a_result_is_shown_escaped_and_whole(tmp_path: Path) -> None:
    outcome = run_searchlab("data", "list", "--data-dir", f"{tmp_path}/{HOSTILE}")
    assert f"Data folder: {tmp_path}/{SHOWN}\n" in outcome.out
    assert find_controls(outcome.out) == []


def test_an_escaping_stream_is_otherwise_the_stream_behind_it(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        stream = EscapingStream(file)
        assert (stream.fileno(), stream.isatty(), stream.encoding) == (
            file.fileno(),
            False,
            "utf-8",
        )
        assert stream.write("a\x1b") == 2
        stream.close()
        file.write("b")
    assert (tmp_path / "out").read_text() == "a\\x1bb"


def test_what_is_written_above_the_panel_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with escaped_output():
        before = sys.stdout, sys.stderr
        progress = LiveProgress(Console(file=stream, width=200, force_terminal=True))
        progress.begin_phase("reading")
        sys.stderr.write(f"warning {HOSTILE}\n")
        progress.stop()
        assert (sys.stdout, sys.stderr) == before
    assert f"warning {SHOWN}" in stream.getvalue()


def test_a_console_gets_text_and_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with escaped_output():
        make_console().print(plain_text(f"[red]{HOSTILE}\n"))
    assert stream.getvalue() == f"[red]{SHOWN}\\n\n"


def test_only_one_module_makes_text_for_rich() -> None:
    """Any other would have to remember to escape it."""
    makers, consoles = set(), set()
    for file in (ROOT / "searchlab").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name == "Text" or name.startswith("Text."):
                    makers.add(file.name)
                if name == "Console":
                    consoles.add(file.name)
    assert makers == {"layout.py"}
    assert consoles == {"terminal.py"}
