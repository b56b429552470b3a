"""Text to SQL: the database stays outside, code asks it by a function, and a mistake is mended by its message.

    python examples/text_to_sql.py                      offline: the model's replies are written below
    python examples/text_to_sql.py openai:gpt-5         a model of yours

Offline it prints:

    asked: SELECT name, SUM(price) FROM receipts GROUP BY name
    asked: SELECT customer, SUM(price + tip) AS paid FROM receipts GROUP BY customer ORDER BY paid DESC
    Alan paid most, 68.50 of 124.20 in all.
"""

from __future__ import annotations

import sqlite3
import sys

from codeact import CodeAgent, tool
from codeact.testing import ScriptedModel

RECEIPTS = [("Alan", 30.0, 4.5), ("Grace", 24.0, 2.2), ("Alan", 31.0, 3.0), ("Ada", 28.0, 1.5)]  # made up
SCHEMA = "CREATE TABLE receipts (id INTEGER PRIMARY KEY, customer TEXT, price REAL, tip REAL)"
REPLIES = (
    """I sum up by customer.
```python
rows = query("SELECT name, SUM(price) FROM receipts GROUP BY name")
```""",
    """The column is named otherwise, and the tip counts, too.
```python
rows = query(
    "SELECT customer, SUM(price + tip) AS paid FROM receipts GROUP BY customer ORDER BY paid DESC"
)
first = rows[0]
final_answer(f"{first['customer']} paid most, {first['paid']:.2f} of {sum(row['paid'] for row in rows):.2f} in all.")
```""",
)


def database() -> sqlite3.Connection:
    """The receipts, which nobody can write to any more."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute(SCHEMA)
    connection.executemany("INSERT INTO receipts (customer, price, tip) VALUES (?, ?, ?)", RECEIPTS)
    connection.execute("PRAGMA query_only = ON")
    connection.row_factory = sqlite3.Row
    return connection


receipts = database()


@tool(concurrency=1)
def query(sql: str) -> list[dict]:
    """The rows of one SELECT on the table receipts(id, customer, price, tip), as dicts; at most 1,000."""
    print("asked:", " ".join(sql.split()))
    return [dict(row) for row in receipts.execute(sql).fetchmany(1000)]


def main() -> None:
    model = sys.argv[1] if sys.argv[1:] else ScriptedModel(*REPLIES)
    agent = CodeAgent(model=model, tools=[query])
    print(agent.run("Which customer paid most, tips included? And how much did all pay?"))


if __name__ == "__main__":
    main()
