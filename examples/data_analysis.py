"""Data analysis with numpy: the data goes in as a variable, the answer comes out as data.

    python examples/data_analysis.py                      offline: the model's replies are written below
    python examples/data_analysis.py openai:gpt-5         a model of yours

Offline it prints:

    {'month': 7, 'growth': 26.1}
"""

from __future__ import annotations

import sys

from codeact import CodeAgent
from codeact.testing import ScriptedModel

VISITS = [812, 845, 850, 901, 923, 940, 1310, 998, 1021, 1040, 1077, 1102]  # made up: the months of a year
TASK = (
    "`visits` are the visits of a site in the twelve months of a year. Fit a line through them, less the one month "
    "that stands out. Answer with a dict: `month` (which one, 1 to 12) and `growth` (visits a month, 1 decimal)."
)
REPLIES = (
    """I fit a line and look at what is left.
```python
import numpy as np
months, counts = np.arange(1, 13), np.array(visits)
left = counts - np.polyval(np.polyfit(months, counts, 1), months)
left.round(1)
```""",
    """One month stands out; I fit again without it.
```python
out = int(abs(left).argmax())
slope, start = np.polyfit(np.delete(months, out), np.delete(counts, out), 1)
final_answer({"month": out + 1, "growth": round(slope, 1)})
```""",
)


def main() -> None:
    model = sys.argv[1] if sys.argv[1:] else ScriptedModel(*REPLIES)
    agent = CodeAgent(model=model, imports=["numpy"])
    result = agent.run(TASK, additional_args={"visits": VISITS}, show=bool(sys.argv[1:]))
    print(result.output)


if __name__ == "__main__":
    main()
