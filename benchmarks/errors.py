"""What a mistake of the model costs: turns and tokens beyond those of a run without it.

The model is scripted, all else is real. It makes one mistake, reads what it is told, and mends it by the words that it
finds there; when it finds none, it makes the same mistake again. So an observation that does not help costs more turns.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import Any

from mistakes import ANSWER, COST, MISTAKES, RIGHT, TASK, Mistake, block, no_orders, order, positive, price

from codeact import CodeAgent
from codeact.core.messages import Prompt, Reply

PATIENCE = 4  # times that a model makes the same mistake before it gives up
_TOKEN = 4  # characters, about


class Competent:
    """A model that makes one mistake. What it read last is all it knows of what came of it."""

    name = "competent"

    def __init__(self, mistake: Mistake | None) -> None:
        self._mistake = mistake
        self.read: list[str] = []
        self.said: list[str] = []

    async def ask(self, prompt: Prompt, emit: Any) -> Reply:
        """What such a model says next."""
        self.read.append(prompt.messages[-1].text)
        reply = self._next(self.read[-1])
        reply = Reply(reply) if isinstance(reply, str) else reply
        self.said.append(reply.text + "".join(call.arguments for call in reply.tool_calls))
        return reply

    def _next(self, read: str) -> str | Reply:
        mistake, turn = self._mistake, len(self.read)
        knows = re.search(rf"^{COST}$", read, re.MULTILINE) is not None
        if mistake is None or (turn == 1 and mistake.late):
            return block(ANSWER if knows else RIGHT)
        if turn == 1 + mistake.late or turn > 1 + mistake.late + PATIENCE:
            return mistake.wrong
        if knows:
            return block(ANSWER)
        found = re.search(mistake.told, read, re.DOTALL) if mistake.told else None
        return block(mistake.mend.format(**found.groupdict())) if found else mistake.wrong


@dataclass(frozen=True)
class Run:
    """What a run took; `read` is what the model was told of its mistake."""

    turns: int
    tokens: int
    right: bool
    read: str


def run(mistake: Mistake | None) -> Run:
    """The task, by a model that makes this mistake."""
    model = Competent(mistake)
    settings = {"seconds": 0.5, "output_type": float, "final_answer_checks": [positive], "gate": no_orders}
    if mistake is not None:
        settings |= mistake.settings
    steps = 2 * PATIENCE
    result = CodeAgent(model=model, tools=[price, order], max_steps=steps, **settings).run(TASK)
    right = result.stop_reason == "final_answer" and result.output == COST
    told = model.read[1 + mistake.late] if mistake is not None and len(model.read) > 1 + mistake.late else ""
    return Run(result.steps, sum(map(len, model.read + model.said)) // _TOKEN, right, told)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--words", action="store_true", help="also print what the model is told")
    words = options.parse_args().words
    plain = run(None)
    worst = fatal = turns = 0
    print(f"\n| {'mistake':36} | more turns | more tokens |\n| {'-' * 36} | ---------: | ----------: |")
    for mistake in MISTAKES:
        took = run(mistake)
        more = took.turns - plain.turns
        turns, worst, fatal = turns + more, max(worst, more), fatal + (not took.right)
        print(f"| {mistake.name:36} | {more if took.right else 'fatal':>10} | {took.tokens - plain.tokens:>11} |")
        if words:
            print("\n" + "\n".join(f"    {line[:160]}" for line in took.read.splitlines()[:40]) + "\n")
    most = f"{worst} more turn" + "s" * (worst != 1)
    print(f"\n{len(MISTAKES)} mistakes: {fatal} fatal, at most {most}, {turns / len(MISTAKES):.2f} on average")
    return int(fatal > 0 or worst > 1)


if __name__ == "__main__":
    raise SystemExit(main())
