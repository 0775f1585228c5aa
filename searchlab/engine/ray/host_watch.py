"""HostWatch: notices hosts that leave the cluster or join it while a study runs."""

from __future__ import annotations

import time

from searchlab.engine.ray.node_facts import read_cluster
from searchlab.study.ledger import Ledger

__all__ = ["HostWatch"]

_LOOK_SECONDS = 3.0


class HostWatch:
    """Tells the ledger about lost and new hosts, by comparing each look with the one before.

    Ray takes about a minute to give up a host whose network was cut, half of that for one that
    died.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known = _find_living()
        self._looked_at = time.monotonic()

    def look(self) -> None:
        """Look if enough time has passed since the last look; called often."""
        if time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        living = _find_living()
        for node_id in self._known.keys() - living.keys():
            self._ledger.note_host_lost(self._known[node_id])
        for node_id in living.keys() - self._known.keys():
            self._ledger.announce(f"host {living[node_id]} joined the cluster")
        self._known = living


def _find_living() -> dict[str, str]:
    nodes = read_cluster(is_ours=False).nodes
    return {node.node_id: node.name for node in nodes if node.alive}
