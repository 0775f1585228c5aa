"""Asks a Ray cluster whether it is there: ``python -m searchlab.engine.ray.cluster_ping ADDRESS``.

In a process of its own, for ``ray.init`` waits for minutes at an address where no Ray answers,
and Ray's client ends the process that it is in where a token is missing.
"""

from __future__ import annotations

import json
import sys

__all__ = ["ask"]

_ANSWER_SECONDS = 15


def ask(address: str) -> dict[str, str]:
    """Return ``state``: ready, elsewhere (no node on this machine), refused or unreachable."""
    from ray._private import services
    from ray._private.authentication import authentication_token_setup as tokens
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError

    try:
        if address == "auto":  # as ray.init does
            tokens.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        tokens.ensure_token_if_auth_enabled({}, create_token_if_missing=False)
        client = GcsClient(address=services.canonicalize_bootstrap_address(address))
        nodes = client.get_all_node_info(timeout=_ANSWER_SECONDS)
    except AuthenticationError as error:
        return {"state": "refused", "reason": _first_line(error)}
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        return {"state": "unreachable", "reason": _first_line(error)}
    alive = {node_id.hex() for node_id, node in nodes.items() if node.state == 0}
    return {"state": "ready" if alive & set(services.find_node_ids()) else "elsewhere"}


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(ask(sys.argv[1])) + "\n")
