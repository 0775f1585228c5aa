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
        ("study diff digits quick", ["quickstart"]),
        ("export --runs-dir elsewhere no", ["none-but-this"]),
        ("trial show ./di", []),
        ("study run x --set tra", ["trackers", "training."]),
        ("study run x --set search.tri", ["search.trials=", "search.trials=<integer>"]),
        ("study run x --set dataset.root", ["dataset.root=", "dataset.root=<text>"]),
        ("study run x --set validation", ["validation.folds", "validation.search_folds"]),
        ("study run x --set robustness.at", ["robustness.attack=fgsm", "robustness.attack=pgd"]),
        ("study new x --set robustness.attack = p", ["pgd"]),
        ("study run --set=robustness.attack = p", ["pgd"]),
        ("study run --set search.trials = 3 quick", ["quickstart"]),
        ("study run --set no.such = a", []),
        ("study resume x --set search.see", []),
        ("study resume x --set con", ["confirm.top", "confirm.repeats"]),
    ],
)
def test_names_of_studies_spaces_runs_and_fields_are_completed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, completed: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("runs/digits", "runs/digits-again", "elsewhere/none-but-this"):
        Path(place).mkdir(parents=True)
        Path(place, "study.yaml").touch()
    monkeypatch.delenv("SEARCHLAB_RUNS", raising=False)
    monkeypatch.setenv("_SEARCHLAB_COMPLETE", "complete_bash")
    monkeypatch.setenv("_SEARCHLAB_COMPLETE_FIELD", "")  # so that it is restored
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


def test_a_shell_that_hands_over_whole_words_gets_whole_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("_SEARCHLAB_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "searchlab study run x --set robustness.attack=f")
    assert '"robustness.attack=fgsm"' in run_searchlab().out
