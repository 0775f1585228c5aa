"""What the shell is told to complete, by the protocol of bash."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run_searchlab


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("study run quick", ["quickstart"]),
        ("space show arch", ["architectures"]),
        ("study resume di", ["digits-again", "digits"]),
        ("export --runs-dir elsewhere no", ["none-but-this"]),
        ("trial show ./di", []),
    ],
)
def test_names_of_studies_spaces_and_runs_are_completed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, completed: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("runs/digits", "runs/digits-again", "elsewhere/none-but-this"):
        Path(place).mkdir(parents=True)
        Path(place, "study.yaml").touch()
    monkeypatch.delenv("SEARCHLAB_RUNS", raising=False)
    monkeypatch.setenv("_SEARCHLAB_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"searchlab {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
    assert sorted(run_searchlab().out.split()) == sorted(completed)


def test_installing_it_says_where_in_plain_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    first, _ = run_searchlab("--install-completion", "bash").out.splitlines()
    file = tmp_path / ".bash_completions" / "searchlab.sh"
    assert first == f"bash completion installed in {file}"
    assert "_SEARCHLAB_COMPLETE=complete_bash" in file.read_text()
    assert str(file) in (tmp_path / ".bashrc").read_text()
