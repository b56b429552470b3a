"""A cell that comes in parts is the same cell: what it gives, prints, raises and leaves is what it would as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from stand_in import SEED, Guest, tool, word

from codeact.guest import values, wire


@pytest.fixture(scope="module")
def guests() -> Iterator[tuple[Guest, Guest]]:
    """One that hears its cells whole, and one that hears them in parts."""
    with Guest() as whole, Guest() as parted:
        yield whole, parted


def run(guest: Guest, parts: Sequence[str]) -> wire.Done:
    first, *rest = parts
    guest.cell += 1
    guest.output = {"stdout": b"", "stderr": b""}
    nonce = f"nonce{guest.cell}"
    guest.send(wire.Run(guest.cell, nonce, SEED, values.encode(first), True))
    while True:
        said = guest.next()
        if type(said) is wire.Call:
            guest.answer(said)
        elif type(said) is wire.Next and said.nonce == nonce:
            following = rest.pop(0) if rest else ""
            guest.send(wire.More(nonce, values.encode(following), bool(rest)))
        else:
            assert type(said) is wire.Done
            guest.drain()
            return said


def shown(guest: Guest, done: wire.Done) -> tuple[Any, ...]:
    value = None if done.value is None else values.decode(done.value)
    answer = None if done.answer is None else values.decode(done.answer)
    return done.ended, done.complete, value, done.error, answer, done.notes, guest.stdout, guest.stderr


CELLS = [
    ("the last value", ["x = 1\n", "x + 1\n"]),
    ("a value that is not the last", ["1\n", "x = 2\n"]),
    ("a comment behind the last value", ["x = 1\n", "x\n", "# done\n"]),
    ("blank parts", ["\n\n", "x = 3\n", "\n", "x\n", "\n"]),
    ("an error, at its line", ["def f(n):\n    return 1 / n\n", "\nx = f(1)\n", "f(0)\n", "print('never')\n"]),
    ("an error in the middle of a part", ["a = 1\n", "b = 2; c = 1 / 0; d = 4\n"]),
    ("a future import", ["from __future__ import annotations\n", "def f(x: nowhere): ...\n", "f.__annotations__\n"]),
    ("two of them", ["'doc'\nfrom __future__ import annotations\n", "from __future__ import division\n", "__doc__\n"]),
    ("a text that is no docstring", ["__doc__ = 1\n", "'text'\n", "'more'\nx = 1\n", "__doc__\n"]),
    ("names and files", ["name = __name__\n", "import sys\n", "name, sys.modules['__main__'].__dict__ is globals()\n"]),
    ("source", ["import inspect\n", "def f():\n    return 1\n", "def g():\n    return 2\n", "inspect.getsource(g)\n"]),
    ("numbers by chance", ["import random, uuid\n", "a = random.random()\n", "b = uuid.uuid4()\n", "a, b\n"]),
    (
        "builtins that are taken away",
        ["import builtins\n", "del builtins.len\n", "print = 3\n", "del print\n", "len\n"],
    ),
    ("builtins that are put back", ["[len, print]\n"]),
    ("a builtin of its own", ["import builtins\nbuiltins.mine = 5\n", "mine\n"]),
    ("await", ["import asyncio\n", "a = await asyncio.sleep(0, 5)\n", "a + 1\n"]),
    (
        "tasks, which go on at an await and not before",
        [
            "import asyncio\nasync def say(x):\n    print(x)\n    await asyncio.sleep(0)\n    print(x, 'again')\n",
            "await asyncio.sleep(0)\n",
            "t = asyncio.create_task(say(1))\n",
            "print('first')\n",
            "await asyncio.sleep(0)\n",
            "print('then')\n",
            "await t\n",
            "asyncio.current_task() is asyncio.current_task()\n",
        ],
    ),
    ("an error in a coroutine", ["async def f():\n    raise KeyError(1)\n", "x = 1\n", "await f()\n"]),
    ("an exit", ["x = 1\n", "exit(3)\n", "print('never')\n"]),
    ("an interrupt of its own", ["x = 1\n", "raise KeyboardInterrupt('mine')\n"]),
    ("the answer", ["x = 1\n", "final_answer(x)\n", "print('never')\n"]),
    (
        "the answer of a thread",
        ["import threading, time\n", "threading.Thread(target=final_answer, args=(7,)).start()\n", "time.sleep(9)\n"],
    ),
    (
        "a recursion",
        ["def f(n): return f(n + 1)\n", "try:\n    f(0)\nexcept RecursionError as e:\n    d = e\n", "str(d)\n"],
    ),
    (
        "a depth",
        [
            "def depth():\n    try:\n        return 1 + depth()\n    except RecursionError:\n        return 0\n",
            "depth()\n",
        ],
    ),
    ("a name of a tool", ["final_answer = 3\n", "final_answer + 1\n"]),
    ("nothing", ["\n", "# nothing\n"]),
    ("what is let go", ["class A:\n    def __del__(self): print('gone')\n", "A()\n", "print('next')\n"]),
    ("warnings", ["import warnings\n", "warnings.warn('once')\n", "for _ in range(3): warnings.warn('loop')\n"]),
]


@pytest.mark.parametrize(("what", "parts"), CELLS, ids=[what for what, _ in CELLS])
def test_a_cell_in_parts_is_the_cell_as_a_whole(guests: tuple[Guest, Guest], what: str, parts: list[str]) -> None:
    whole, parted = guests
    expected = shown(whole, whole.run("".join(parts)))
    assert shown(parted, run(parted, parts)) == expected
    names = "sorted(n for n in globals() if not n.startswith('__')), __file__[:5]"
    assert parted.value(names) == whole.value(names)


def test_what_would_keep_a_whole_cell_from_running_stops_one_in_parts_there(guests: tuple[Guest, Guest]) -> None:
    whole, parted = guests
    for wrong in ("y = (2\n", "import subprocess\n", "from __future__ import annotations\n", "return\n"):
        parts = ["x = 1\n", "\n", wrong]
        expected, done = whole.run("".join(parts)), run(parted, parts)
        assert (expected.complete, done.complete, done.ended) == (0, 1, "done")
        assert done.error is not None and expected.error is not None and done.error[:2] == expected.error[:2]


def test_threads_of_a_cell_are_answered_while_it_waits_for_the_rest() -> None:
    with Guest([tool("double", "(value)", word())], {"double": lambda value: 2 * value}) as guest:
        guest.cell = 1
        start = "import threading\ngot = []\nt = threading.Thread(target=lambda: got.append(double(4)))\nt.start()\n"
        guest.send(wire.Run(1, "nonce1", SEED, values.encode(start), True))
        said = [guest.next(), guest.next()]
        (call,) = [one for one in said if type(one) is wire.Call]
        assert [type(one) for one in said if one is not call] == [wire.Next]
        guest.answer(call)
        guest.send(wire.More("nonce1", values.encode("t.join()\ngot\n"), False))
        assert values.decode(guest.finish().value) == "[8]"


def test_what_is_printed_is_out_while_the_cell_waits() -> None:
    with Guest() as guest:
        guest.send(wire.Run(1, "n", SEED, values.encode("print('so far', end='')\n"), True))
        assert type(guest.next()) is wire.Next
        guest.drain()
        assert guest.stdout == "so far"


def test_a_cell_is_stopped_while_it_waits_and_keeps_what_it_has() -> None:
    with Guest() as guest:
        guest.cell = 1
        guest.send(wire.Run(1, "nonce1", SEED, values.encode("x = 5\n"), True))
        assert type(guest.next()) is wire.Next
        guest.interrupt()
        done = guest.finish()
        assert (done.ended, done.complete) == ("interrupted", 1)
        guest.send(wire.More("nonce1", values.encode("x = 6\n"), False))  # it crossed the end on its way
        assert guest.value("x") == "5"
