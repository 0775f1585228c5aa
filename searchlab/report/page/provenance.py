"""The report's last section: where the figures come from, and how to repeat them."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from searchlab.config.documents import dump_yaml
from searchlab.records.trial_record import DATA_FINGERPRINT, PLUGINS, VERSION
from searchlab.report.page.blocks import Block, Items, Lines, Section
from searchlab.version import __version__

if TYPE_CHECKING:
    from searchlab.report.page.findings import Findings

__all__ = ["make_provenance"]


def make_provenance(found: Findings) -> Section:
    """List versions, machines, data, seeds and incidents, with the commands that repeat it."""
    incidents = found.status.incidents.text
    says = f"Incidents: {incidents}." if incidents else "Nothing was lost or trained again."
    return Section(key="provenance", title="Where it comes from", says=says, blocks=[*_make(found)])


def _make(found: Findings) -> Iterator[Block]:
    yield Items(title="Facts", items=[*_list_facts(found)])
    yield Lines(title="Repeat it", text="\n".join(_list_commands(found)))
    yield Lines(title="The study file", text=dump_yaml(found.reading.spec.to_data()), folded=True)


def _list_facts(found: Findings) -> Iterator[str]:
    attributes, spec = found.reading.attributes, found.reading.spec
    begun = attributes.get(VERSION, "an unknown version")
    yield f"searchlab {begun} began the study; {__version__} wrote this report"
    yield f"dataset {spec.dataset.name}, fingerprint {attributes.get(DATA_FINGERPRINT, 'unknown')}"
    yield f"seed {spec.search.seed}"
    machines = Counter(str(one) for record in found.reading.records for one in record.machines)
    for machine, count in machines.most_common():
        yield f"{count} trials were trained on {machine}"
    for plugin, digest in dict(attributes.get(PLUGINS, {})).items():
        yield f"plugin {plugin}, digest {digest}"
    failed = [record for record in found.reading.records if record.state == "FAIL"]
    causes = Counter(record.error or record.stop_reason or "an unknown error" for record in failed)
    for cause, count in causes.most_common(5):
        yield f"{count} trials failed with {cause}"


def _list_commands(found: Findings) -> Iterator[str]:
    run = found.reading.run
    yield run.command("study", "leaderboard")
    yield shlex.join(["searchlab", "study", "run", str(run.study_file), "--set", "name=again"])
    if found.winner is not None:
        yield run.command("trial", "rerun") + f" {found.winner.number}"
        yield run.command("export") + f" --to {found.reading.spec.name}-model"
