"""Tests of trackers are patient with slow imports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from searchlab.trackers import background


@pytest.fixture(scope="session", autouse=True)
def _wait_for_trackers() -> Iterator[None]:
    """Wait for a tracker as long as it takes: a busy machine imports MLflow for 20 s."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_MOST_SECONDS", "_STOPPING_SECONDS"):
            patch.setattr(background, name, 300.0)
        yield
