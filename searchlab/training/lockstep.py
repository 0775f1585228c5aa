"""Members of a trial trained side by side: a step of each in turn."""

from __future__ import annotations

from collections.abc import Sequence

from searchlab.training.member import Member

__all__ = ["train_together"]


def train_together(
    members: Sequence[Member], epoch: int, *, most_batches: int | None = None
) -> list[dict[str, float]]:
    """Train an epoch of several members, a step of each in turn; return what each reports.

    If they are graphed, their steps run at the same time on a GPU.
    """
    for member in members:
        member.begin_epoch(epoch, most_batches=most_batches)
    try:
        waiting = list(members)
        while waiting:
            waiting = [member for member in waiting if member.advance()]
    finally:
        for member in members:
            member.end_steps()
    return [member.end_epoch() for member in members]
