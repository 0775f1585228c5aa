"""What a callback writes: plain lines without a terminal, a small panel on one."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from searchlab.cli import progress as cli_progress
from searchlab.cli.plain_progress import PlainProgress
from searchlab.cli.progress import LiveProgress, NotebookProgress, make_progress
from searchlab.config.study import StudySpec
from searchlab.study.callbacks import (
    BestTrial,
    Forecast,
    NullCallback,
    ProgressSnapshot,
    RoleCounts,
    RunningTrial,
    StudyBegin,
    StudyEnd,
    TrialEnd,
)

SNAPSHOT = ProgressSnapshot(
    study="toy",
    metric="accuracy",
    stage="search",
    counts={
        "baseline": RoleCounts(total=6, complete=6, pruned=0, failed=0),
        "search": RoleCounts(total=37, complete=4, pruned=1, failed=1),
        "finalist": RoleCounts(total=3, complete=0, pruned=0, failed=0),
    },
    running=tuple(
        RunningTrial(
            number=13 + i, role="search", label="cnn", epoch=i, num_epochs=8, num_models=1,
            value=0.9 if i else None,
        )
        for i in range(40)
    ),
    best_search=BestTrial(number=9, label="cnn", value=0.972),
    best_baseline=BestTrial(number=5, label="a2/DT", value=0.959),
    elapsed_seconds=30.0,
    remaining=Forecast(seconds=41.0, stage=None),
)  # fmt: skip
END = TrialEnd(
    number=12, role="search", label="cnn", state="COMPLETE", value=0.961, epoch=8, seconds=2.1,
    reason=None, test=None,
)  # fmt: skip

_SPEC = StudySpec.model_validate(
    {"name": "toy", "dataset": "digits", "space": "spaces:one", "search": {"trials": 1}}
)
BEGIN = StudyBegin(spec=_SPEC, read_ended=tuple)
STUDY_END = StudyEnd(spec=_SPEC, records=(), is_finished=True)


def _plain(end: TrialEnd | None, snapshot: ProgressSnapshot = SNAPSHOT) -> list[str]:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.begin_study(BEGIN, snapshot)
    progress.advance(snapshot)
    if end is not None:
        progress.end_trial(end, snapshot)
    progress.end_study(STUDY_END, snapshot)
    return stream.getvalue().splitlines()


def test_plain_lines_of_a_study() -> None:
    assert _plain(END) == [
        "study toy: baselines 6/6, search 6/37, finalists 0/3",
        "stage: search",
        "[12/46] search #12 cnn COMPLETE 96.10 % after 8 epochs (2.1 s)"
        "  best 97.20 % (#9) vs baseline 95.90 % (#5)  left 0:41",
        "done: 12/46 trials in 0:30",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "FAIL", "value": None, "reason": "out of memory"}, "FAIL after 8 epochs (2.1 s)"
         ": out of memory"),
        ({"state": "PRUNED", "epoch": 1, "reason": "diverged"}, "PRUNED 96.10 % after 1 epoch"),
        ({"test": 0.95, "role": "finalist"}, "(2.1 s), test 95.00 %"),
    ],
)  # fmt: skip
def test_plain_line_says_how_a_trial_ended(changes: dict[str, Any], words: str) -> None:
    assert words in _plain(replace(END, **changes))[2]


def test_missing_rivals_are_left_out() -> None:
    counts = {"search": RoleCounts(total=4, complete=1, pruned=0, failed=0)}
    snapshot = replace(
        SNAPSHOT, counts=counts, best_baseline=None, best_search=None, remaining=None
    )
    line = _plain(END, snapshot)[2]
    assert line == "[1/4] search #12 cnn COMPLETE 96.10 % after 8 epochs (2.1 s)"


def test_stopping_is_said_once() -> None:
    lines = _plain(END, replace(SNAPSHOT, stopping=True))
    assert [line for line in lines if line.startswith("stopping")] == [
        "stopping: no new trials; waiting for 40 to finish"
    ]
    assert lines[-1].startswith("stopped: ")


def _draw(
    snapshot: ProgressSnapshot, end: TrialEnd | None = None, *, is_over: bool = False
) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=80, height=24)  # no terminal: drawn once, at the end
    progress = LiveProgress(console)
    progress.begin_study(BEGIN, snapshot)
    if end is not None:
        progress.end_trial(end, snapshot)
    progress.advance(snapshot)
    if is_over:
        progress.end_study(STUDY_END, snapshot)
    progress.stop()
    return stream.getvalue().splitlines()


def test_panel_is_small_and_within_80_columns() -> None:
    lines = _draw(SNAPSHOT)
    assert len(lines) <= 15
    assert max(len(line) for line in lines) <= 80
    text = "\n".join(lines)
    assert "6/37" in text
    assert "4 done, 1 pruned, 1 failed" in text
    assert "and 35 more" in text
    assert "best 97.20 % (#9 cnn), 1.30 points better than baseline 95.90 % (#5 a2/DT)" in text
    assert "0:00 elapsed, about 0:41 left" in text


def test_a_panel_says_that_the_study_is_stopping_and_at_the_end_that_it_has_stopped() -> None:
    snapshot = replace(SNAPSHOT, stopping=True, remaining=None)
    first = "\n".join(_draw(snapshot))
    assert "elapsed  stopping: waiting for running trials" in first
    assert "#13" in first
    last = "\n".join(_draw(snapshot, is_over=True))
    assert "elapsed  stopped" in last
    assert "#13" not in last, "nothing runs any more"


def test_panel_of_a_loss_calls_lower_better() -> None:
    text = "\n".join(_draw(replace(SNAPSHOT, metric="loss")))
    assert "best 0.9720 (#9 cnn), 0.0130 worse than baseline 0.9590" in text


def test_the_clock_ticks_between_two_events(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(cli_progress.time, "monotonic", lambda: now)
    stream = io.StringIO()
    progress = LiveProgress(Console(file=stream, width=80, height=24, force_terminal=True))
    progress.begin_phase("starting Ray")
    assert "starting Ray  0:00" in stream.getvalue()
    now += 17.0
    progress._live.refresh()
    assert "starting Ray  0:17" in stream.getvalue()
    progress.begin_study(BEGIN, replace(SNAPSHOT, elapsed_seconds=0.0, running=()))
    now += 4.0
    progress._live.refresh()
    assert "0:21 elapsed, about 0:37 left" in stream.getvalue(), "since the command began"
    progress.stop()


def test_what_is_done_before_the_first_epoch_is_shown_until_then() -> None:
    progress = LiveProgress(Console(file=io.StringIO(), width=80))
    progress.begin_study(BEGIN, SNAPSHOT)
    progress.begin_phase("starting the workers")
    progress.advance(replace(SNAPSHOT, running=SNAPSHOT.running[:1]))
    assert progress._phase == "starting the workers", "no epoch of a trial is reported yet"
    progress.advance(SNAPSHOT)
    assert progress._phase == ""
    progress.stop()


def test_a_panel_of_a_study_that_cannot_begin_leaves_nothing_behind() -> None:
    stream = io.StringIO()
    progress = LiveProgress(Console(file=stream, width=80))
    progress.begin_phase("checking study.yaml")
    progress.stop()
    assert stream.getvalue().strip() == ""


def test_what_is_done_after_the_last_trial_is_a_line_that_goes_and_the_study_stays() -> None:
    stream = io.StringIO()
    progress = LiveProgress(Console(file=stream, width=80, force_terminal=True))
    progress.begin_study(BEGIN, SNAPSHOT)
    progress.end_study(STUDY_END, SNAPSHOT)
    before = len(stream.getvalue())
    progress.begin_phase("errors of #3 a2/DT")
    progress.stop()
    after = stream.getvalue()[before:]
    assert "errors of #3 a2/DT" in after
    assert "6/37" not in after, "the study's panel stays above, and is not drawn again"
    assert after.endswith("\x1b[1A\x1b[2K"), "the line is cleared"


def test_a_notebook_keeps_the_study_above_what_is_done_after_it() -> None:
    shown: list[str] = []

    class Output:
        def show(self, text: str) -> None:
            shown.append(text)

    progress = NotebookProgress(Output())  # type: ignore[arg-type]
    progress.begin_study(BEGIN, SNAPSHOT)
    progress.end_study(STUDY_END, SNAPSHOT)
    final = shown[-1]
    assert "6/37" in final
    progress._due = 0.0
    progress.begin_phase("errors of #3 a2/DT")
    assert shown[-1].startswith(final)
    assert "errors of #3 a2/DT" in shown[-1]
    progress.stop()
    assert shown[-1] == final


def test_an_estimate_of_a_stage_says_which() -> None:
    snapshot = replace(SNAPSHOT, remaining=Forecast(seconds=41.0, stage="search"))
    assert _plain(END, snapshot)[2].endswith("  left 0:41 of search")
    assert "about 0:41 left of search" in "\n".join(_draw(snapshot))


def test_stages_that_a_study_does_not_have_are_not_shown() -> None:
    empty = RoleCounts(total=0, complete=0, pruned=0, failed=0)
    snapshot = replace(SNAPSHOT, counts={**SNAPSHOT.counts, "baseline": empty, "finalist": empty})
    assert _plain(END, snapshot)[0] == "study toy: search 6/37"
    text = "\n".join(_draw(snapshot))
    assert "search" in text
    assert "baselines" not in text
    assert "finalists" not in text


def test_panel_of_a_quick_look_names_the_best_and_judges_neither() -> None:
    text = "\n".join(_draw(replace(SNAPSHOT, is_quick_look=True)))
    assert "best 97.20 % (#9 cnn), best baseline 95.90 % (#5 a2/DT)" in text
    assert "better" not in text


def test_failures_stay_on_the_screen() -> None:
    lines = _draw(SNAPSHOT, replace(END, state="FAIL", value=None, reason="boom [/red]"))
    assert "search #12 cnn failed: boom [/red]" in "\n".join(lines)


def test_progress_suits_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_progress(quiet=True), NullCallback)
    assert isinstance(make_progress(quiet=False), PlainProgress)
    monkeypatch.setenv("TERM", "xterm")
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    assert isinstance(make_progress(quiet=False), LiveProgress)
    for terminal in ("dumb", "unknown"):
        monkeypatch.setenv("TERM", terminal)
        assert isinstance(make_progress(quiet=False), PlainProgress)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert isinstance(make_progress(quiet=False), PlainProgress)
