"""`codeact demo`: a real task on real data, offline. The replies were recorded; their code runs now, in the sandbox.

The data, `michelson_1879.csv`, are A. A. Michelson's hundred determinations of the speed of light in air, in km/s less
299,000, in five series of twenty: "Experimental determination of the velocity of light", Astronomical Papers of the
American Ephemeris 1 (1880); tabulated by S. M. Stigler, Annals of Statistics 5 (1977), and in R as `morley`. They are
in the public domain.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from importlib.resources import as_file, files

from codeact import assemble
from codeact.core.execution import Policy
from codeact.listeners.console import is_terminal
from codeact.session.agent import Agent

from ..arguments import Parser
from ..run import work
from .desk import constant, read_table

TASK = (
    "In 1879 Albert Michelson timed light a hundred times, in five series of twenty. Which speed in vacuum do his "
    "measurements give, and with which standard error? Do the five series agree? How far was he from today's value?"
)
_PACE = 180  # tokens a second, so that it can be read along
_REMARK = "Offline: the model's replies are recorded, their code runs now in the sandbox."


def main(argv: Sequence[str]) -> int:
    """Show it, on a terminal at a pace that can be read along."""
    Parser("demo", "A real task on real data, offline.", "codeact demo").read(argv)
    with as_file(files(__package__) / "replies.jsonl") as replies:
        pace = f"?rate={_PACE}" if is_terminal(sys.stdout) else ""
        model = assemble.model(f"replay:{replies}{pace}")
    tools = (assemble.tool(read_table), assemble.tool(constant))
    agent = Agent(model, tools, assemble.sandbox(assemble.DEFAULT_SANDBOX), Policy())
    with assemble.console() as console:
        console.remark(_REMARK)
        return asyncio.run(work(agent, TASK, console)).status()
