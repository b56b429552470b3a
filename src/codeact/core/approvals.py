"""What somebody may decide about a call before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

CELL = "cell"  # the name under which a cell itself is asked about; its one argument is `source`
PLAN = "plan"  # the same for a plan, whose one argument is `plan`


@dataclass(frozen=True, slots=True)
class Allow:
    """It may run; with `session` every later call of the same tool in the session may, too."""

    session: bool = False


@dataclass(frozen=True, slots=True)
class Deny:
    """It does not run. The code gets a PermissionError with this reason, and can handle it."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """It runs with these arguments in place of those that were asked, by name, all of them."""

    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Later:
    """Nobody decides it now: the task ends as `paused`, and goes on when somebody has decided."""


Decision: TypeAlias = Allow | Deny | Edit | Later
