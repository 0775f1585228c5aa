"""No command shows a password, wherever in its arguments a URL was typed, well or badly."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from command_line import run_searchlab
from toy_runs import make_toy

from searchlab.cli.main import LogFormatter

URLS = [
    "postgresql://me:geheim@127.0.0.1:9/x",
    "postgresql:me:geheim@h",
    "me:geheim@h/x",
    "mssql+pyodbc:///?odbc_connect=PWD%3Dgeheim",
    "postgresql://127.0.0.1:9/x?token=geheim",
]
COMMANDS = [
    ("study", "status", "{}"),
    ("study", "status", "toy", "{}"),
    ("study", "status", "toy", "--storage", "{}"),
    ("study", "list", "--storage={}"),
    ("study", "export", "toy", "{}", "--storage", "{}"),
    ("study", "import", "{}"),
    ("study", "delete", "toy", "--yes", "--storage", "{}"),
    ("study", "run", "{}"),
    ("study", "run", "quick.yaml", "--set", "storage={}"),
    ("study", "best", "toy", "--json", "--storage", "{}"),
    ("storage", "copy", "toy", "{}"),
    ("storage", "copy", "{}", "x.db"),
    ("dashboard", "--storage", "{}", "--port", "0"),
    ("dashboard", "--port", "{}"),
    ("doctor", "toy", "--storage", "{}"),
    ("space", "check", "{}"),
    ("{}",),
    ("study", "{}"),
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_command_that_fails_on_a_url_shows_no_password(
    command: tuple[str, ...], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("searchlab.records.storage.opening._CONNECT_TIMEOUT_SECONDS", 1)
    make_toy(tmp_path / "runs")
    outcome = run_searchlab(*(part.format(url) for part in command))
    assert "geheim" not in outcome.out + outcome.err
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if b"geheim" in path.read_bytes()], "nor writes one"


def test_log_lines_show_no_password() -> None:
    record = logging.makeLogRecord({"msg": "lost %s", "args": ("postgresql://me:geheim@h/x",)})
    assert LogFormatter("%(message)s").format(record) == "lost postgresql://me:***@h/x"
