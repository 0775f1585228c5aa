"""The figure on optuna-dashboard's first page: roles apart, and names that are only text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from driven_runs import copy_finished, drive_run

from searchlab.report.dashboard.plots import list_plots
from searchlab.report.page.findings import Findings
from searchlab.report.reading import read_study

HOSTILE = '<a href="https://b.c">&amp;</a>'


def test_search_finalists_and_baselines_are_traces_of_their_own(tmp_path: Path) -> None:
    found = Findings(read_study(copy_finished(tmp_path), None))
    [text] = list_plots(found).values()
    traces = {trace["name"]: trace for trace in json.loads(text)["data"]}
    assert len(traces["search"]["x"]) == 6
    assert len(traces["finalist, all folds"]["x"]) == 2
    assert {"baseline a2/HF", "baseline a2/DT"} <= traces.keys()


def test_names_are_text(tmp_path: Path) -> None:
    reading = read_study(copy_finished(tmp_path), None)
    records = [replace(one, label=HOSTILE) for one in reading.records]
    [text] = list_plots(Findings(replace(reading, records=records))).values()
    assert "<" not in text
    assert "&amp;lt;a href" not in text


def test_there_is_none_before_a_search_trial_has_ended(tmp_path: Path) -> None:
    assert list_plots(Findings(read_study(drive_run(tmp_path, num_trials=2), None))) == {}
