"""A plugin that writes down every epoch that any process trains: ``<trial> <epoch>`` a line."""

from __future__ import annotations

import os
from pathlib import Path

TEMPLATE = """
import os
from searchlab.training.cohort import Cohort

if not hasattr(Cohort, "unlogged_run_epoch"):
    Cohort.unlogged_run_epoch = Cohort.run_epoch

    def run_epoch(cohort):
        result = cohort.unlogged_run_epoch()
        line = f"{{result.number}} {{result.epoch}}\\n".encode()
        file = os.open({path!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, line)
        os.close(file)
        return result

    Cohort.run_epoch = run_epoch
"""


class EpochLog:
    """The file, and the plugin that fills it; workers load it from its source."""

    def __init__(self, folder: Path) -> None:
        self.plugin = folder / "epoch_log_plugin.py"
        self._path = folder / "epochs.log"
        self._path.touch()
        self.plugin.write_text(TEMPLATE.format(path=os.fspath(self._path)))

    def read(self) -> list[tuple[int, int]]:
        """Every epoch trained so far, as (trial, epoch), in order."""
        lines = self._path.read_text().splitlines()
        return [(int(number), int(epoch)) for number, epoch in map(str.split, lines)]
