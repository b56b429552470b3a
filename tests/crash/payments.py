"""An agent that pays, each time under its call's key, into a ledger that no power cut reaches: `payments.py FOLDER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from codeact import ToolCallingAgent, tool
from codeact.core.execution import ToolCall
from codeact.core.messages import NativeCall, Reply
from codeact.core.recovery import Happened, Recovery, Retry
from codeact.testing import ScriptedModel
from codeact.tools.context import current_call

RUN = "0123456789abcdef0123456789abcdef"
ANSWER = "all are paid"
_WAVES = (("ada", "ben", "cleo"), ("dora",), ("emil", "fay"))
_SIZES = {"cleo": 9_000, "dora": 4_400_000}  # the last is more than SQLite keeps beside its file


def agent(folder: Path) -> ToolCallingAgent:
    """The agent, with its journal and its ledger in this folder."""
    ledger = os.open(folder / "ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def was_made(call: ToolCall) -> Recovery:
        return Happened(_receipt(call.arguments["to"])) if call.key in paid(folder) else Retry()

    @tool(probe=was_made)
    def pay(to: str) -> str:
        """Pay."""
        os.write(ledger, f"{current_call().key}\n".encode())
        return _receipt(to)

    replies = [
        Reply("", tool_calls=tuple(NativeCall(to, "pay", f'{{"to": "{to}"}}') for to in wave)) for wave in _WAVES
    ]
    last = Reply("", tool_calls=(NativeCall("end", "final_answer", f'{{"value": "{ANSWER}"}}'),))
    return ToolCallingAgent(model=ScriptedModel(*replies, last), tools=[pay], journal=folder / "runs.db")


def paid(folder: Path) -> list[str]:
    """The key of each payment, in order."""
    return (folder / "ledger").read_text().split()


def _receipt(to: str) -> str:
    return to * (_SIZES.get(to, 20) // len(to))


if __name__ == "__main__":
    place = Path(sys.argv[1])
    assert agent(place).run("Pay.").output == ANSWER
    (place / "over").write_text("")
