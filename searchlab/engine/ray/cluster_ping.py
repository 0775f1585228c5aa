"""Asks whether a Ray cluster is there: ``python -m searchlab.engine.ray.cluster_ping ADDRESS``.

It runs in a process of its own because Ray's client ends its process if a token is missing.
"""

from __future__ import annotations

import json
import sys

from searchlab.engine.ray.ray_internals import find_living_nodes, find_local_nodes
from searchlab.errors import first_line

__all__ = ["ping"]

_ANSWER_SECONDS = 15


def ping(address: str) -> dict[str, str]:
    """Return ``state``: ready, elsewhere (no node on this machine), refused or unreachable."""
    from ray.exceptions import AuthenticationError

    try:
        living = find_living_nodes(address, timeout_seconds=_ANSWER_SECONDS)
    except AuthenticationError as error:
        return {"state": "refused", "reason": first_line(error)}
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        return {"state": "unreachable", "reason": first_line(error)}
    return {"state": "ready" if living & find_local_nodes() else "elsewhere"}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(ping(sys.argv[1])) + "\n")
