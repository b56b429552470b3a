"""The variables of a guest, as it tells of them: name, kind, and a glimpse of the value."""

from __future__ import annotations

from typing import Any, TypeAlias

from ..guest.variables import EVERY
from .conversation import Conversation

Seen: TypeAlias = tuple[str, str, str]


async def variables(guest: Conversation) -> list[Seen]:
    """All of them; raises Lost when the guest is gone, or says something else."""
    told = await guest.fetch(EVERY)
    if not isinstance(told, list) or not all(map(_is_seen, told)):
        raise guest.end("signal", "it broke the protocol: these are no variables")
    return [(name, kind, glimpse) for name, kind, glimpse in told]


def _is_seen(one: Any) -> bool:
    return isinstance(one, list) and len(one) == 3 and all(isinstance(text, str) for text in one)
