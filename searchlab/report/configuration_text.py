"""A trial's configuration as YAML, which ``searchlab train`` reads, under what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.config.configuration import ConfigurationSpec
from searchlab.config.documents import dump_yaml
from searchlab.control_characters import escape_line
from searchlab.report.tables import describe_figures
from searchlab.report.trial_view import view_trial

if TYPE_CHECKING:
    from searchlab.report.leaderboard import Row
    from searchlab.report.reading import StudyReading

__all__ = ["write_configuration"]


def write_configuration(reading: StudyReading, row: Row) -> str:
    """Return a trial's configuration as YAML, with its figures as comments.

    Its parameters alone if the rest is known only to code that the study names, which is not run.
    """
    comments = [f"# {escape_line(line)}\n" for line in describe_figures(row, reading.metrics)]
    config = view_trial(reading, row.number).config
    data: dict[str, object] = dict(row.params)
    if config is not None:
        data = ConfigurationSpec.of(
            config,
            reading.spec.dataset,
            last_epoch=reading.find_trial(row.number).fold_epoch,
            plugins=reading.spec.plugins,
        ).to_data()
    return "".join(comments) + dump_yaml(data)
