"""Tools with typed arguments: wrong ones never reach the function, and an error tells the model how to go on.

    python examples/typed_tools.py                        offline: the model's replies are written below
    python examples/typed_tools.py openai:gpt-5           a model of yours

Offline it prints:

    called book_room(room='Fjord', start='09:00', minutes=30)
    called book_room(room='Fjell', start='09:00', minutes=30)
    Fjell, 09:00 to 09:30
"""

from __future__ import annotations

import datetime
import sys
from dataclasses import dataclass
from typing import Literal

from codeact import CodeAgent, tool
from codeact.core.events import Delta, Event, ToolCalled
from codeact.testing import ScriptedModel

TAKEN = {("Fjord", datetime.time(9))}
REPLIES = (
    '```python\nbook_room("Fjord", "9 o\'clock", 30)\n```',  # not a time: a ValueError in the code, and no call
    '```python\nbook_room("Fjord", "09:00", 30)\n```',  # taken: the function says so, and what is free
    '```python\nb = book_room("Fjell", "09:00", 30)\n'
    "final_answer(f\"{b['room']}, {b['start']:%H:%M} to {b['end']:%H:%M}\")\n```",
)


@dataclass
class Booking:
    room: str
    start: datetime.time
    end: datetime.time


@tool
def book_room(room: Literal["Fjord", "Fjell"], start: datetime.time, minutes: int = 60) -> Booking:
    """Book a meeting room for today."""
    if (room, start) in TAKEN:
        raise RuntimeError(f"{room} is taken at {start:%H:%M}; Fjell is free")
    end = datetime.datetime.combine(datetime.date.min, start) + datetime.timedelta(minutes=minutes)
    return Booking(room, start, end.time())


def audit(event: Event | Delta) -> None:
    if isinstance(event, ToolCalled):
        print(f"called {event.tool}({', '.join(f'{name}={value!r}' for name, value in event.arguments.items())})")


def main() -> None:
    model = sys.argv[1] if sys.argv[1:] else ScriptedModel(*REPLIES)
    agent = CodeAgent(model=model, tools=[book_room], listeners=[audit])
    print(agent.run("Book a room at nine for half an hour."))


if __name__ == "__main__":
    main()
