"""Mistakes that models make, each with the words that a competent model needs to mend it.

The right program for the task is two lines; `wrong` stands in its place, or in that of the answer. `told` is looked for
in the observation, and what it captures is what the next reply is made of: an observation without those words leaves
the model with nothing to mend by.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from codeact import tool
from codeact.core.approvals import Allow, Deny
from codeact.core.execution import ToolCall
from codeact.core.messages import NativeCall, Reply

PRICES = {"tea": 4.5, "coffee": 3.25}
TASK = "What do a pound of tea and two pounds of coffee cost together?"
COST = 11.0
RIGHT = 'cost = price("tea") + 2 * price("coffee")\ncost'
ANSWER = "final_answer(cost)"


@tool
def price(item: str, currency: str = "EUR") -> float:
    """The price of a pound of something."""
    if item not in PRICES:
        raise LookupError(f"no price for {item!r}; there are {', '.join(PRICES)}")
    return PRICES[item]


@tool
def order(item: str) -> str:
    """Order a pound of something."""
    return f"{item} is on its way"


async def no_orders(call: ToolCall) -> Allow | Deny:
    """A gate that lets nobody order."""
    return Deny("prices can be looked up without an order") if call.tool == "order" else Allow()


def block(source: str, tag: str = "python") -> str:
    """A reply as the system prompt asks for."""
    return f"I look it up.\n```{tag}\n{source}\n```"


@dataclass(frozen=True)
class Mistake:
    """`wrong` is the reply with the mistake, `mend` the code that follows, with what `told` captured put into it."""

    name: str
    wrong: str | Reply
    told: str = ""  # nothing: the reply does what it should in spite of its mistake
    mend: str = RIGHT
    late: bool = False  # it is in the answer
    settings: dict[str, Any] = field(default_factory=dict)


def _native(name: str, arguments: str) -> Reply:
    return Reply("", tool_calls=(NativeCall("call_1", name, arguments),), finish="tool_calls")


def positive(value: float) -> bool:
    """A cost is not negative."""
    return value >= 0


_FORM = r"```python\n# your code"
_LOG = "log = ['x' * 90] * 20_000\nlog[9_000] = 'cost=' + str(price('tea') + 2 * price('coffee'))\n"

MISTAKES = (
    # -- the reply ----------------------------------------------------------------------------------------------------
    Mistake("nothing at all", "", _FORM),
    Mistake("prose in place of code", "I would look up the price of tea and of coffee, and add them.", _FORM),
    Mistake("only thinking", f"<think>{block(RIGHT)}</think>", rf"only thinking[^`]*{_FORM}"),
    Mistake("thinking that never ends", f"<think>Let me see. {block(RIGHT)}", rf"never ended[^`]*{_FORM}"),
    Mistake("another language", block("const cost = price('tea')", "js"), rf"only Python[^`]*`js`[^`]*{_FORM}"),
    Mistake("a reply cut off by its length", Reply(block(RIGHT)[:40], finish="length"), "cut off[^.]*nothing ran"),
    Mistake("a block that is never closed", f"So:\n```python\n{RIGHT}"),
    Mistake("a block cut in the middle", "So:\n```python\ncost = price('tea') + (2 *", rf"not whole[^`]*{_FORM}"),
    Mistake("no tag on the block", block(RIGHT, "")),
    Mistake(
        "several blocks", block("tea = price('tea')") + "\nThen:\n" + block("cost = tea + 2 * price('coffee')\ncost")
    ),
    Mistake("a made-up observation", f"{block(RIGHT)}\nObservation: it costs 99.\n{block('final_answer(99)')}"),
    Mistake(
        "a tool call as JSON",
        'Action:\n```json\n{"name": "price", "arguments": {"item": "tea"}}\n```',
        rf"functions, called in Python[^`]*{_FORM}",
    ),
    Mistake(
        "a tool call as XML",
        '<tool_call>{"name": "price", "arguments": {"item": "tea"}}</tool_call>',
        rf"functions, called in Python[^`]*{_FORM}",
    ),
    Mistake("a native tool call", _native("price", '{"item": "tea"}'), rf"functions, called in Python[^`]*{_FORM}"),
    Mistake("an answer in prose", "They cost 11.0 together.", r"final_answer\(\.\.\.\)", ANSWER, late=True),
    # -- the code -----------------------------------------------------------------------------------------------------
    Mistake("a syntax error", block('cost = price("tea") + 2 * price("coffee"'), "not valid Python.*never closed"),
    Mistake("a typographic quote", block(RIGHT.replace('"tea"', "“tea”")), r"line 1, column 14.*type a plain one"),
    Mistake("a shell command", block(f"!pip install prices\n{RIGHT}"), "not valid Python.*line 1\n *!pip"),
    Mistake(
        "a name that is misspelled",
        block(RIGHT.replace("price", "prize")),
        r"no name 'prize'.*did you mean '(?P<name>\w+)'",
        RIGHT.replace("price", "{name}"),
    ),
    Mistake(
        "a variable that was never set",
        block(RIGHT.replace("2 *", "pounds *")),
        "no name 'pounds'",
    ),
    Mistake(
        "a missing import",
        block("cost = math.fsum([price('tea'), price('coffee'), price('coffee')])\ncost"),
        r"import (?P<module>math)",
        "import {module}\ncost = math.fsum([price('tea'), price('coffee'), price('coffee')])\ncost",
    ),
    Mistake(
        "an import that is refused",
        block(f"import subprocess\n{RIGHT}"),
        "subprocess cannot be imported here",
    ),
    Mistake(
        "a package that is not there",
        block(f"import requests\n{RIGHT}"),
        "requests cannot be imported here: ",
    ),
    Mistake(
        "a wrong argument",
        block('cost = price(article="tea") + 2 * price(article="coffee")\ncost'),
        r"'article'.*price\((?P<name>\w+): str",
        'cost = price({name}="tea") + 2 * price({name}="coffee")\ncost',
    ),
    Mistake("an argument too many", block(RIGHT.replace('"tea"', '"tea", "EUR", 1')), "too many.*it is price"),
    Mistake("a missing argument", block(f"price()\n{RIGHT}"), "missing.*'item'"),
    Mistake(
        "an argument of a wrong type",
        block(RIGHT.replace('"tea"', '["tea"]')),
        r"item.*str",
    ),
    Mistake(
        "a value that the tool does not know",
        block(RIGHT.replace('"tea"', '"teas"')),
        r"there are (?P<name>\w+)",
        RIGHT.replace("tea", "{name}"),
    ),
    Mistake("a tool that is awaited", block(RIGHT.replace('= price("tea")', '= await price("tea")')), "no await"),
    Mistake(
        "tools that are gathered",
        block('import asyncio\na, b = await asyncio.gather(price("tea"), price("coffee"))'),
        r"price\.(?P<way>aio)\(",
        'import asyncio\na, b = await asyncio.gather(*map(price.{way}, ("tea", "coffee")))\ncost = a + 2 * b\ncost',
    ),
    Mistake("a tool that is denied", block(f'order("tea")\n{RIGHT}'), "not allowed: prices can be looked up"),
    Mistake("a tool's name taken", block('price = price("tea")'), "price is a tool.*price_value"),
    Mistake("an exception", block(f"{RIGHT} / len([])"), "ZeroDivisionError"),
    Mistake("a recursion without end", block(f"def f(n):\n    return f(n + 1)\nf(0)\n{RIGHT}"), "RecursionError"),
    Mistake(
        "an endless loop", block(f"while True:\n    pass\n{RIGHT}"), "stopped at the limit.*All variables are kept"
    ),
    Mistake("a question to the user", block("item = input('Which?')"), "EOFError"),
    Mistake(
        "too much output",
        block(f"{_LOG}for line in log: print(line)"),
        "left out",
        "cost = float(next(line for line in log if 'cost=' in line)[5:])\ncost",
    ),
    Mistake("too much memory", block("x = bytearray(1 << 29)"), "memory limit", settings={"memory": "256MiB"}),
    Mistake("a program that leaves", block("import os\nos._exit(1)"), "ended the interpreter"),
    Mistake(
        "an interpreter that crashes",
        block("import ctypes\nctypes.string_at(0)"),
        "crashed.*All variables.*gone",
        settings={"imports": ["ctypes"], "snapshots": False},
    ),
    # -- the answer ---------------------------------------------------------------------------------------------------
    Mistake("an answer of a wrong type", block("final_answer('eleven')"), "float|number", ANSWER, late=True),
    Mistake("an answer that a check refuses", block("final_answer(-cost)"), "not negative", ANSWER, late=True),
    Mistake("an answer that cannot be sent", block("final_answer(iter([cost]))"), "does not cross", ANSWER, late=True),
    Mistake(
        "an answer that is printed", block("print('The answer is', cost)"), "The answer is 11.0", ANSWER, late=True
    ),
    Mistake("an answer, and more code", block(f"{ANSWER}\nfinal_answer(99)"), late=True),
)
