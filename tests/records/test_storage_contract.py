"""Our storage keeps Optuna's contract for storages, as Optuna's published suite checks it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import BaseStorage, get_storage
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import FrozenTrial
from quick_disk import sync_never

from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.records.storage.retrying_storage import RetryingStorage
from searchlab.records.trial_record import CREATED_BY


class MarksHidden(RetryingStorage):
    """Shows trials without the mark of their driver, which the suite does not expect."""

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return hide_mark(super().get_trial(trial_id))

    def get_all_trials(self, *arguments: Any, **named: Any) -> list[FrozenTrial]:
        return [hide_mark(trial) for trial in super().get_all_trials(*arguments, **named)]


def hide_mark(trial: FrozenTrial) -> FrozenTrial:
    trial = copy.copy(trial)
    trial.system_attrs = {k: v for k, v in trial.system_attrs.items() if k != CREATED_BY}
    return trial


def show_without_marks(storage: RetryingStorage) -> RetryingStorage:
    database = storage.database
    return MarksHidden(get_storage(database), database=database, url="the suite's")


class Contract(StorageTestCase):
    # Only a driver has a storage, and hands it to nobody (docs/design.md).
    test_pickle_storage = None


class TestSqlite(Contract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[BaseStorage]:
        storage = open_storage(sqlite_url(tmp_path / "study.db"))
        sync_never(storage.database)
        yield show_without_marks(storage)
        storage.close()


@pytest.mark.postgres
class TestPostgres(Contract):
    @pytest.fixture
    def storage(self, postgres_url: str) -> Iterator[BaseStorage]:
        storage = open_storage(postgres_url)
        yield show_without_marks(storage)
        storage.close()
