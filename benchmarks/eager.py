"""What it saves to run code while the model is still writing it: the same replies, with and without.

The model is a simulator that writes so many tokens a second, at four characters a token; code and tools are real, and
take the time that they are said to take. A ratio is the time from the question to the cell's end, eager over whole. All
times are made shorter by `--scale`, the model's too, which leaves the ratios as they are.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import Any

import pairs

from codeact import CodeAgent, tool
from codeact.core.events import CodeRan, ModelAsked, TextDelta
from codeact.core.messages import Prompt, Reply

RATES = (20, 50, 100, 200)  # tokens a second
_TOKEN = 4  # characters
_PROSE = "I look up what is there first, and then work out what was asked for, step by step.\n"


def _work(lines: int) -> str:
    """So many lines of code that cost nothing to run: a dozen tokens each."""
    return "".join(f"part_{i} = [n * {i} for n in range(10) if n % 2 == 0]\n" for i in range(lines))


PROGRAMS = {
    "nothing that takes time": _work(25),
    "a call of 1 s, then 20 lines": f"rows = search(1)\n{_work(20)}",
    "20 lines, then a call of 1 s": f"{_work(20)}rows = search(1)\n",
    "4 calls of 0.5 s, 5 lines between": "".join(f"r{i} = search(0.5)\n{_work(5)}" for i in range(4)),
    "8 calls at once of 1 s, then 20 lines": "import asyncio\n"
    f"rows = await asyncio.gather(*(search.aio(1) for _ in range(8)))\n{_work(20)}",
    "2 s of computing, then 20 lines": f"compute(2)\n{_work(20)}",
    "a loop of 6 calls of 0.3 s, then 10 lines": f"for i in range(6):\n    search(0.3)\n{_work(10)}",
    "an error in line 3 of 25": f"{_work(2)}1 / 0\n{_work(22)}",
}
_COMPUTE = """\
import time
def compute(seconds):
    end = time.perf_counter() + seconds * SCALE
    while time.perf_counter() < end:
        pass
"""


class Simulator:
    """A model that writes one reply at its rate, and then the answer at once; `written` counts its tokens."""

    name = "simulator"

    def __init__(self, program: str, rate: float) -> None:
        self._reply = f"{_PROSE}```python\n{program}```"
        self._rate = rate
        self.written = 0

    async def ask(self, prompt: Prompt, emit: Any) -> Reply:
        """The reply whose turn it is."""
        asked = sum(message.role == "assistant" for message in prompt.messages)
        if asked == 0:  # the session is warm, and knows how to compute
            return Reply(f"```python\n{_COMPUTE}```")
        if asked > 1:
            return Reply("```python\nfinal_answer(None)\n```")
        start = time.perf_counter()
        for at in range(0, len(self._reply), _TOKEN):
            self.written += 1
            due = start + self.written / self._rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            emit(TextDelta(self._reply[at : at + _TOKEN]))
        return Reply(self._reply)


@dataclass(frozen=True)
class Took:
    """A reply and its cell: seconds, and the tokens that were written."""

    seconds: float
    tokens: int


def run(program: str, rate: float, scale: float, sandbox: str, *, eager: bool) -> Took:
    """One reply, run while it is written or afterwards."""

    @tool
    async def search(seconds: float) -> list[str]:
        """Search, which takes so long."""
        await asyncio.sleep(seconds * scale)
        return ["found"]

    model, times = Simulator(program, rate / scale), []

    def note(event: Any) -> None:
        if isinstance(event, ModelAsked | CodeRan):
            times.append(time.perf_counter())

    agent = CodeAgent(model=model, tools=[search], eager=eager, sandbox=sandbox, listeners=[note])
    agent.run("Go.", additional_args={"SCALE": scale})
    return Took(times[3] - times[2], model.written)


def main() -> None:
    own = [("--one-rate", f"at {RATES[0]} tokens a second alone")]
    options = pairs.arguments(__doc__, rounds=3, scale="how much longer or shorter all times are", more=own)
    rates = RATES[:1] if options.one_rate else RATES
    print("\nWhile the model writes: the ratio of the time to that without")
    print(f"{'':44}" + "".join(f"{f'{rate} tokens/s':>14}" for rate in rates) + f"{'not written':>14}")
    for name, program in PROGRAMS.items():
        line, spared = f"{name:44}", 0.0
        for rate in rates:
            both = [
                [run(program, rate, options.scale, options.sandbox, eager=eager) for eager in (False, True)]
                for _ in range(options.rounds)
            ]
            line += f"{statistics.median(eager.seconds / whole.seconds for whole, eager in both):>14.2f}"
            spared = statistics.median(1 - eager.tokens / whole.tokens for whole, eager in both)
        print(line + (f"{spared:>13.0%}" if spared else ""))


if __name__ == "__main__":
    main()
