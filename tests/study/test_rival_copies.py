"""Of two copies into one study the later one gets it, and the earlier one writes nothing more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from rich_studies import KINDS, describe_study, make_rich_study

from searchlab.errors import InfrastructureError
from searchlab.study.storage import bulk_writing
from searchlab.study.storage.opening import open_storage
from searchlab.study.transfer import copying
from searchlab.study.transfer.copying import COPYING, copy_study, is_half_copied


@pytest.fixture
def source() -> BaseStorage:
    storage = InMemoryStorage()
    make_rich_study(storage)
    return storage


def _interrupt(_done: int, _total: int) -> None:
    raise KeyboardInterrupt


def _begin_again_meanwhile(
    source: BaseStorage, rival: BaseStorage, *, whole: bool
) -> Callable[[int, int], None]:
    """A copy that begins while another one is after its first batch, and ends or is cut off."""
    begun: list[int] = []

    def step_in(done: int, _total: int) -> None:
        if begun:
            return
        begun.append(done)
        if whole:
            copy_study(source, rival, "rich")
            return
        with pytest.raises(KeyboardInterrupt):
            copy_study(source, rival, "rich", on_progress=_interrupt)

    return step_in


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_slow_copy_writes_nothing_into_the_one_that_took_its_place(
    kind: str, whole: bool, tmp_path: Path, source: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite gives the new study the id of the one that it replaces."""
    monkeypatch.setattr(bulk_writing, "BATCH_SIZE", 2)
    target = KINDS[kind](tmp_path)
    rival = target if kind == "in memory" else KINDS[kind](tmp_path)
    step_in = _begin_again_meanwhile(source, rival, whole=whole)
    with pytest.raises(InfrastructureError, match="another copy took its place"):
        copy_study(source, target, "rich", on_progress=step_in)
    there = rival if kind == "in memory" else KINDS[kind](tmp_path)
    assert is_half_copied(there, "rich") == (not whole)
    if not whole:
        study_id = there.get_study_id_from_name("rich")
        assert len(there.get_all_trials(study_id)) < 3, "the rival's first batch, and no more"
        copy_study(source, there, "rich")
    assert describe_study(there) == describe_study(source)


@pytest.mark.postgres
def test_slow_copy_writes_nothing_more_on_postgres(
    source: BaseStorage, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_writing, "BATCH_SIZE", 2)
    target, rival = open_storage(postgres_url), open_storage(postgres_url)
    step_in = _begin_again_meanwhile(source, rival, whole=True)
    with pytest.raises(InfrastructureError, match="another copy took its place"):
        copy_study(source, target, "rich", on_progress=step_in)
    assert describe_study(rival) == describe_study(source)
    target.close()
    rival.close()


@pytest.mark.parametrize("kind", KINDS)
def test_copy_whose_study_is_deleted_stops_and_leaves_nothing(
    kind: str, tmp_path: Path, source: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_writing, "BATCH_SIZE", 2)
    target = KINDS[kind](tmp_path)

    def delete(_done: int, _total: int) -> None:
        target.delete_study(target.get_study_id_from_name("rich"))

    with pytest.raises(InfrastructureError, match="the study was deleted there"):
        copy_study(source, target, "rich", on_progress=delete)
    assert target.get_all_studies() == []
    make_rich_study(target)
    assert describe_study(target) == describe_study(source)


@pytest.mark.parametrize("kind", KINDS)
def test_copy_takes_no_mark_off_but_its_own(
    kind: str, tmp_path: Path, source: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = KINDS[kind](tmp_path)
    verify = copying._verify

    def verify_and_lose(*arguments: Any) -> None:
        verify(*arguments)
        monkeypatch.setattr(copying, "_verify", verify)
        with pytest.raises(KeyboardInterrupt):
            copy_study(source, target, "rich", on_progress=_interrupt)

    monkeypatch.setattr(copying, "_verify", verify_and_lose)
    with pytest.raises(InfrastructureError, match="another copy took its place"):
        copy_study(source, target, "rich")
    assert is_half_copied(target, "rich")


@pytest.mark.parametrize("kind", KINDS)
def test_attributes_of_a_copy_that_lost_its_study_are_not_written(
    kind: str, tmp_path: Path, source: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = KINDS[kind](tmp_path)
    begin = copying._begin

    def begin_and_lose(*arguments: Any) -> Any:
        monkeypatch.setattr(copying, "_begin", begin)
        begun = begin(*arguments)
        begin(*arguments)  # another copy
        return begun

    monkeypatch.setattr(copying, "_begin", begin_and_lose)
    with pytest.raises(InfrastructureError, match="another copy took its place"):
        copy_study(source, target, "rich")
    study_id = target.get_study_id_from_name("rich")
    assert target.get_study_system_attrs(study_id).keys() == {COPYING}
    assert target.get_study_user_attrs(study_id) == {}
