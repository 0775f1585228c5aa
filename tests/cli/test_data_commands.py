"""searchlab data: what is listed is true, and fetching what is there does nothing."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import assert_refused, run_searchlab

from searchlab.data import get_dataset, list_datasets


def test_list_names_every_dataset_with_the_remedy_for_a_missing_one(tmp_path: Path) -> None:
    outcome = run_searchlab("data", "list", "--data-dir", tmp_path)
    assert outcome.code == 0
    rows = {line.split()[0]: line for line in outcome.out.splitlines() if line}
    assert set(list_datasets()) <= set(rows)
    assert "1x8x8" in rows["digits"]
    assert rows["digits"].endswith("yes, installed")
    assert rows["usps"].endswith("no")
    assert "searchlab data fetch NAME" in outcome.out
    assert str(tmp_path) in outcome.out


def test_list_as_json_tells_what_is_there(tmp_path: Path) -> None:
    for file in get_dataset("usps").files:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    outcome = run_searchlab("data", "list", "--data-dir", tmp_path, "--json")
    entries = {entry["name"]: entry for entry in json.loads(outcome.out)}
    assert entries["usps"]["present"]
    assert entries["usps"]["place"] == str(tmp_path)
    assert not entries["fashion_mnist"]["present"]
    assert entries["fashion_mnist"]["image_shape"] == [1, 28, 28]
    assert (entries["fashion_mnist"]["train"], entries["fashion_mnist"]["test"]) == (60_000, 10_000)
    again = run_searchlab("data", "fetch", "usps", "--data-dir", tmp_path)
    assert (again.code, again.out) == (0, f"usps: already in {tmp_path}\n")


def test_fetch_of_an_installed_dataset_has_nothing_to_do(tmp_path: Path) -> None:
    outcome = run_searchlab("data", "fetch", "digits", "--data-dir", tmp_path)
    assert outcome.code == 0
    assert "nothing to fetch" in outcome.out
    assert list(tmp_path.iterdir()) == []


def test_fetch_of_an_unknown_dataset_names_the_nearest(tmp_path: Path) -> None:
    outcome = run_searchlab("data", "fetch", "fashion-mnist", "--data-dir", tmp_path)
    assert_refused(outcome, "'fashion-mnist'", "Did you mean fashion_mnist")
    assert list(tmp_path.iterdir()) == []
