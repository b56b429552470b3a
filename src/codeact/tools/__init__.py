"""Tools: functions of the host that code may call."""

from .context import Call, current_call, metered

__all__ = ["Call", "current_call", "metered"]
