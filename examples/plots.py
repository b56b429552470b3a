"""A data analysis with a plot: a CSV goes in as a file, a picture and a table come back.

    python examples/plots.py                      offline: the model's replies are written below
    python examples/plots.py openai:gpt-5         a model of yours

Offline it prints:

    Bergen has 2.9 times the rain of Oslo.
    rain.png: a picture
    by_city.csv: city,mm
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from codeact import CodeAgent
from codeact.testing import ScriptedModel

RAIN = "month,Oslo,Bergen\nJan,58,256\nApr,48,137\nJul,88,181\nOct,97,271\n"  # mm; made up, but not by much
TASK = (
    "rain.csv has the rain of two cities, in mm. Draw it as bars into outputs/rain.png, save the sum of each city as "
    "outputs/by_city.csv, and tell me how the two compare."
)
REPLIES = (
    """First I look at the file.
```python
import pandas as pd
rain = pd.read_csv("inputs/rain.csv", index_col="month")
rain
```""",
    """Now the plot, the sums, and the answer.
```python
import matplotlib.pyplot as plt
ax = rain.plot.bar(rot=0, figsize=(6, 3), color=["#7d9be0", "#5aaa88"])
ax.set_ylabel("mm")
plt.tight_layout()
plt.savefig("outputs/rain.png")
sums = rain.sum().rename_axis("city").rename("mm")
sums.to_csv("outputs/by_city.csv")
final_answer(f"Bergen has {sums['Bergen'] / sums['Oslo']:.1f} times the rain of Oslo.")
```""",
)


def main() -> None:
    model = sys.argv[1] if sys.argv[1:] else ScriptedModel(*REPLIES)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "rain.csv")
        source.write_text(RAIN, encoding="utf-8")
        agent = CodeAgent(model=model, imports=["pandas", "matplotlib"])
        result = agent.run(TASK, files=[source], show=bool(sys.argv[1:]))
        print(result.output)
        for path in sorted(result.save(Path(folder, "made")), reverse=True):
            data = path.read_bytes()
            picture = data.startswith(b"\x89PNG")
            print(f"{path.name}:", "a picture" if picture else data.split()[0].decode())


if __name__ == "__main__":
    main()
