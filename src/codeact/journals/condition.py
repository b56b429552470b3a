"""How a place for runs is found: whether there is a journal, of which version, and whether it can be written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """A journal as it was found. `server` is what keeps it, `version` that of its form; `reason` why it is not `ok`."""

    place: str
    ok: bool
    there: bool = False
    version: int | None = None
    server: str | None = None
    reason: str = ""
