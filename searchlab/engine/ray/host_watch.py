"""HostWatch: notices hosts that leave the cluster or join it while a study runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

from searchlab.engine.ray.node_facts import NodeFacts

__all__ = ["HostWatch"]

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 3.0


class HostWatch:
    """Compares the cluster's hosts with those of the look before, every few seconds.

    ``look`` returns the nodes as Ray sees them; Ray itself takes about a minute to give up a host
    whose network was cut, half of that for one that died.
    """

    def __init__(
        self,
        look: Callable[[], Collection[NodeFacts]],
        *,
        on_lost: Callable[[str], None],
        on_joined: Callable[[str], None],
    ) -> None:
        self._look = look
        self._on_lost = on_lost
        self._on_joined = on_joined
        self._known = self._living()
        self._looked_at = time.monotonic()

    def attend(self) -> None:
        """Look if it is time to; called often."""
        if time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        living = self._living()
        for node_id in self._known.keys() - living.keys():
            self._on_lost(self._known[node_id])
        for node_id in living.keys() - self._known.keys():
            self._on_joined(living[node_id])
        self._known = living

    def _living(self) -> dict[str, str]:
        return {node.node_id: node.name for node in self._look() if node.alive}
