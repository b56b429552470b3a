"""Code that runs while it is written does what it would do as a whole: any program, in any pieces."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from codeact.core import actions
from codeact.core.execution import Failure, Limits, Outcome, Policy, ToolSpec
from codeact.core.growing import Growing
from codeact.core.statements import Loops
from codeact.guest import values
from codeact.interpreter import Asked, Interpreter
from codeact.sandboxes.linux import LinuxSandbox

SIMPLE = [
    "x = 1",
    "y = x + 1 if 'x' in globals() else 0",
    "x",
    "x; y = 2; x",
    "print('out', 1)",
    "import sys; print('err', file=sys.stderr)",
    "z = [\n    1,\n    2,\n]",
    "text = '''\nx = 99\n```\nif True:\n'''",
    "print(f'''\n{1}\n''')",
    "total = (1 +\n2)",
    "long = 1 + \\\n    2",
    "import math, random",
    "random.random() if 'random' in globals() else None",
    "import uuid; u = uuid.uuid4()\nu",
    "look(3)",
    "seen = look(value=4)",
    "print(look(5))",
    "1 / 0",
    "raise ValueError('mine')",
    "nowhere",
    "late_name",
    "late_name = 5",
    "final_answer([1, 2])",
    "exit()",
    "del x",
    "x: int = 3",
    "'a text'",
    '"""doc\nstring"""',
    "__doc__",
    "None",
    "...",
    "x = y = 7",
    "x = lambda: 1 / 0\nx()",
    "assert 1 == 2, 'no'",
    "__file__, __name__",
    "print('a', end='')",
    "import warnings; warnings.warn('look out')",
    "f()",
    "f(0)",
    "o = C(); o",
    "sorted(n for n in globals() if len(n) == 1)",
    "import inspect; inspect.getsource(f)",
    "x = [c for c in 'abc']",
    "(n := 4)",
    "# a comment",
    "",
    "   ",
    "pass",
    "a, *b = 1, 2, 3",
    "import builtins; builtins.mine = 1",
    "mine",
]
BLOCKS = [
    "if x:\n    print('yes')\nelse:\n    print('no')",
    "if 0:\n    pass\nelif 1:\n    y = 3\n\n# between\nelse:\n    y = 4",
    "for i in range(3):\n    print(i)\nelse:\n    print('else')",
    "for i in range(3): total = i",
    "while True:\n    break",
    "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    print(e)\nfinally:\n    print('finally')",
    "try:\n    look(1)\nexcept* ValueError:\n    pass",
    "with open('f', 'w') as file:\n    file.write('x')",
    "def f(n=1):\n    return 1 / n",
    "def f(n=1):\n    '''Doc.\n\n    x = 1\n    '''\n    return helper(n)",
    "def helper(n):\n    return n\n",
    "def deep(n):\n    return deep(n + 1)\ntry:\n    deep(0)\nexcept RecursionError as e:\n    d = str(e)",
    "import functools\n@functools.cache\n@functools.wraps(print)\ndef f(n=2):\n    return n",
    "class C:\n    a = 1\n    def __repr__(self):\n        return 'a C'",
    "class C:\n    def __del__(self):\n        print('gone')\nC()",
    "match 3:\n    case 3:\n        m = 'three'\n    case _:\n        m = ''",
    "for i in range(2):\n    if i:\n        raise KeyError(i)",
    "def t():\n    look(8)\nimport threading\nth = threading.Thread(target=t); th.start(); th.join(); del th",
]
LOOPS = [
    "import asyncio",
    "from asyncio import sleep, run",
    "async def co(n=1):\n    print('co', n)\n    await asyncio.sleep(0)\n    print('after', n)\n    return n",
    "await co()",
    "asyncio.run(co(2))",
    "run(co(3))",
    "task = asyncio.create_task(co(4))",
    "await task",
    "await asyncio.sleep(0)",
    "print('between')",
    "r = await look.aio(6)\nr",
    "await asyncio.gather(look.aio(1), co(5))",
    "[await co(i) for i in range(2)]",
    "async with asyncio.timeout(5):\n    await co(6)",
    "loop = asyncio.get_running_loop()",
    "g = lambda: asyncio.run(co(7))",
    "g()",
]
OPENINGS = [
    "",
    "",
    "from __future__ import annotations\n",
    "'''Doc.'''\nfrom __future__ import annotations\n",
    "'Doc.'\n",
]
PROGRAMS = st.tuples(
    st.sampled_from(OPENINGS),
    st.lists(st.sampled_from(SIMPLE) | st.sampled_from(BLOCKS) | st.sampled_from(LOOPS), min_size=1, max_size=7),
).map(lambda parts: parts[0] + "\n".join(parts[1]) + "\n")

PROBE = "sorted((n, type(v).__name__, repr(v)[:80]) for n, v in globals().items() if n[0] != '_')"


@dataclass
class Pair:
    """Two interpreters, side by side: one gets its cells whole, the other as they are written."""

    loop: asyncio.Runner
    whole: Interpreter
    eager: Interpreter
    loops: Loops
    cell: int = 0


async def door(asked: Asked) -> values.Packed | Failure:
    return values.encode([asked.tool, *values.decode(asked.arguments)])


def quiet(_: Any) -> None:
    return None


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    policy = Policy(Limits(seconds=20))
    with asyncio.Runner() as loop:
        both = [Interpreter(LinuxSandbox(), policy, [ToolSpec("look", "(value)")]) for _ in range(2)]
        for one in both:
            loop.run(one.__aenter__())
        yield Pair(loop, *both, Loops())
        for one in both:
            loop.run(one.__aexit__())


async def write(pair: Pair, reply: str, pieces: list[int], seed: bytes) -> Outcome:
    """Run the code of a reply that comes in pieces of these lengths."""
    growing, parts = Growing(pair.loops), deque[str]()
    at = 0
    for length in pieces:
        parts += growing.feed(reply[at : at + length])
        at += length
    parts += growing.feed(reply[at:])
    action = actions.parse(reply)
    assert isinstance(action, actions.Code) and action.source.startswith(growing.given)
    parts.append(action.source[len(growing.given) :])
    pair.loops.read(parts[-1])

    async def following() -> tuple[str, bool]:
        await asyncio.sleep(0)
        return parts.popleft(), bool(parts)

    return await pair.eager.run(pair.cell, parts.popleft(), seed, door, quiet, following if parts else None)


def told(outcome: Outcome) -> str:
    """What is the same of two outcomes: not their time, an address in memory, or the number of a task."""
    return re.sub("0x[0-9a-f]{6,}|Task-[0-9]+", "...", repr(replace(outcome, seconds=0.0)))


@settings(
    deadline=None,
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    program=PROGRAMS,
    cuts=st.lists(st.integers(0, 400), max_size=2),
    pieces=st.lists(st.integers(1, 60), max_size=40),
    seed=st.binary(min_size=16, max_size=16),
)
def test_what_comes_of_a_program_does_not_tell_how_it_came(
    pair: Pair, program: str, cuts: list[int], pieces: list[int], seed: bytes
) -> None:
    assume(program.strip())  # blank blocks are no code
    reply = "I will see.\n" + "".join(f"````python\n{block}````\nAnd on:\n" for block in in_blocks(program, cuts))
    action = actions.parse(reply)
    assert isinstance(action, actions.Code) and action.source == program
    try:
        compile(program, "cell", "exec", 1 << 13)  # with await at the top
    except SyntaxError:
        return  # it does not pass the check of a whole cell
    pair.cell += 1
    whole = pair.loop.run(pair.whole.run(pair.cell, program, seed, door, quiet))
    eager = pair.loop.run(write(pair, reply, pieces, seed))
    assert told(eager) == told(whole)
    pair.cell += 1
    left = [told(pair.loop.run(one.run(pair.cell, PROBE, bytes(16), door, quiet))) for one in (pair.whole, pair.eager)]
    assert left[0] == left[1]


def in_blocks(program: str, cuts: list[int]) -> list[str]:
    """The program in blocks that are cut between statements at the margin."""
    lines = program.splitlines(keepends=True)
    blocks, block = [], ""
    for number, line in enumerate(lines):
        if number in cuts and block and begins(block, line):
            blocks.append(block)
            block = ""
        block += line
    return [*blocks, block]


def begins(block: str, line: str) -> bool:
    if line[:1] in " #\n" or line.startswith(("else", "elif", "except", "finally", "]", "`")):
        return False
    try:
        compile(block, "block", "exec", 1 << 13)
    except SyntaxError:
        return False
    return True
