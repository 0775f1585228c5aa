"""searchlab with studies cut short: the same commands, for a few seconds instead of minutes.

As a script it is the command ``searchlab`` that a page's shell finds.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from searchlab.config import loading
from searchlab.engine import launch


def scale(patch: pytest.MonkeyPatch) -> None:
    """Let studies train for one epoch and search by two trials, in this process."""
    load, begin, resume = loading.load_study, launch.begin_study, launch.resume_study

    def load_short(path: Any, overrides: Any = (), **options: Any) -> loading.StudyFile:
        spec = load(path, overrides, **options).spec
        short = ["training.epochs=1", "confirm.repeats=2", "report.diagnostics=[]"]
        short.append(f"confirm.top={min(spec.confirm.top, 1)}")
        if spec.search.trials != 0:
            short.append("search.trials=2")
        return load(path, [*overrides, *short], **options)

    def serially(options: launch.RunOptions) -> launch.RunOptions:
        return dataclasses.replace(options, engine="serial")

    def begin_short(file: Any, run: Any, options: Any, **more: Any) -> None:
        begin(file, run, serially(options), **more)

    def resume_short(run: Any, options: Any, **more: Any) -> None:
        resume(run, serially(options), **more)

    patch.setattr(loading, "load_study", load_short)
    patch.setattr(launch, "begin_study", begin_short)
    patch.setattr(launch, "resume_study", resume_short)


if __name__ == "__main__":
    from searchlab.cli.main import main

    with pytest.MonkeyPatch.context() as patch:
        scale(patch)
        main()
