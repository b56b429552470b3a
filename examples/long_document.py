"""Questions on a long document: it lies in a variable, code cuts it up, and `llm` reads the parts that matter.

    python examples/long_document.py                      offline: the model's replies are written below
    python examples/long_document.py openai:gpt-5         a model of yours

Offline it prints:

    415,467 characters, of which the model was shown 210 at once, at most
    ['a cracked hinge', 'water in the lamp']
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from codeact import CodeAgent
from codeact.assemble import model
from codeact.core.events import CodeRan, Event
from codeact.core.messages import Prompt, Reply
from codeact.ports import Emit
from codeact.testing import ScriptedModel
from codeact.tools.toolbox import llm

LOG = ["All is well on the ship, and the wind is fair.", "Nothing to report; the crew is in good spirits."]
FAULTS = {1700: "We found a cracked hinge on the hatch. ", 6100: "There is water in the lamp of the bow. "}
TASK = "`log` is a ship's log of a year. Which faults does it report? Answer with a list of few words each."
REPLIES = (
    """It is too long to be read. I look for words that faults are told by.
```python
import re
lines = log.split("\\n")
usual = {re.sub(r"^Watch \\d+: ", "", line) for line in lines[:50]}
odd = [line for line in lines if re.sub(r"^Watch \\d+: ", "", line) not in usual]
len(lines), odd[:5]
```""",
    """Two lines differ; a model reads each.
```python
final_answer(llm_map([f"Name the fault in this line, in few words: {line}" for line in odd]))
```""",
)


class Reader:
    """The model that reads the parts, offline: it knows two faults."""

    name = "reader"

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        asked = prompt.messages[-1].text
        return Reply("a cracked hinge" if "hinge" in asked else "water in the lamp")


def longest(events: Sequence[Event]) -> int:
    """How many characters the longest thing was that the model was shown of what its code did."""
    return max(
        len(event.outcome.stdout + (event.outcome.value or "")) for event in events if isinstance(event, CodeRan)
    )


def main() -> None:
    lines = [f"Watch {n}: {FAULTS.get(n, '')}{LOG[n % 2]}" for n in range(7000)]
    log = "\n".join(lines)
    yours = sys.argv[1] if sys.argv[1:] else None
    agent = CodeAgent(model=yours or ScriptedModel(*REPLIES), tools=llm(model(yours) if yours else Reader()))
    result = agent.run(TASK, additional_args={"log": log})
    print(f"{len(log):,} characters, of which the model was shown {longest(result.events)} at once, at most")
    print(result.output)


if __name__ == "__main__":
    main()
