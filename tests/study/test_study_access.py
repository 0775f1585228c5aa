"""Who reopens or joins a study is told how it differs from theirs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from optuna.storages import InMemoryStorage
from small_studies import NO_DATA, write_study

from searchlab.config.loading import load_study
from searchlab.errors import InputError
from searchlab.records.trial_record import SPEC
from searchlab.study.preparation.prepared_study import PreparedStudy, prepare_study
from searchlab.study.study_access import create_study, join_study, reopen_study


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_study(tmp_path)


def prepare(file: Path, *overrides: str) -> PreparedStudy:
    return prepare_study(load_study(file, overrides), data_dir=NO_DATA)


def test_who_joins_a_study_that_was_given_more_trials_has_to_know_of_them(file: Path) -> None:
    storage = InMemoryStorage()
    create_study(prepare(file), storage)
    more = prepare(file, "search.trials=20")
    with pytest.raises(InputError, match=r"other settings:\n  search\.trials: 12 there, 20 here"):
        join_study(more, storage)
    reopen_study(more, storage, create=False, file=file)
    join_study(more, storage)
    with pytest.raises(InputError, match=r"search\.trials: 20 there, 12 here"):
        join_study(prepare(file), storage)


def test_what_changes_no_trial_is_each_driver_s_own(file: Path, tmp_path: Path) -> None:
    storage = InMemoryStorage()
    create_study(prepare(file), storage)
    join_study(prepare(file, "resources.workers=4"), storage)
    more = prepare(file, "training.epochs=5")  # noted as a change of the file's 4 epochs
    with pytest.raises(InputError, match=r"training\.epochs: 4 there, 5 here"):
        join_study(more, storage)
    written = prepare(write_study(tmp_path / "written", training={"epochs": 5}))
    another = InMemoryStorage()
    create_study(more, another)
    join_study(written, another)


def test_who_joins_a_study_that_cannot_be_compared_is_refused(file: Path) -> None:
    storage = InMemoryStorage()
    study = create_study(prepare(file), storage)
    study.set_user_attr(SPEC, '{"of": "a later version"}')
    with pytest.raises(InputError, match="has a record that this version of searchlab cannot"):
        join_study(prepare(file), storage)


def test_other_images_than_the_study_began_with_are_refused(file: Path) -> None:
    storage = InMemoryStorage()
    create_study(prepare(file), storage)
    others = prepare(file, "dataset={name: digits, limit: 200}").images
    fewer = replace(prepare(file), images=others)
    with pytest.raises(InputError, match="must have the images that the study began with"):
        reopen_study(fewer, storage, create=False, file=file)


def test_a_study_whose_driver_was_killed_while_it_described_it_is_described(file: Path) -> None:
    whole, torn = InMemoryStorage(), InMemoryStorage()
    study = create_study(prepare(file), whole)
    directions = whole.get_study_directions(whole.get_study_id_from_name(study.study_name))
    torn.create_new_study(directions, study.study_name)
    assert reopen_study(prepare(file), torn, create=False, file=file).user_attrs == study.user_attrs
