"""A guest in a plain process, and a host that says the words: tool calls, the final answer, and being interrupted."""

# ruff: noqa: E501

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from stand_in import PATIENCE, Guest, tool, word

from codeact.guest import values, wire

WEATHER = tool(
    "weather",
    "(city: str, unit: str = 'C', /, *more: int, deep: 'Depth' = None, **others) -> dict[str, int]",
    ("city", "POSITIONAL_ONLY", None),
    ("unit", "POSITIONAL_ONLY", "'C'"),
    ("more", "VAR_POSITIONAL", None),
    ("deep", "KEYWORD_ONLY", "None"),
    ("others", "VAR_KEYWORD", None),
    doc="Current weather.\n\nIn a city.",
)


def _fail(kind: str, message: str = "no") -> Any:
    raise type(kind, (Exception,), {})(message)


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    tools = [
        WEATHER,
        tool("echo", "(value)", word()),
        tool("fail", "(kind, message='no')", word("kind"), ("message", "POSITIONAL_OR_KEYWORD", "'no'")),
        tool("slow", "(value)", word()),
    ]
    answers = {"weather": lambda *args, **kwargs: [list(args), kwargs], "echo": lambda value: value, "fail": _fail}
    with Guest(tools, answers) as guest:
        yield guest


@pytest.fixture(autouse=True)
def afresh(guest: Guest) -> None:
    guest.calls.clear()
    guest.open.clear()


# -- stubs -------------------------------------------------------------------------------------------------------------


def test_a_tool_is_a_function_with_its_signature_and_its_docstring(guest: Guest) -> None:
    guest.run("help(weather)")
    assert guest.stdout.splitlines()[2:] == [
        "weather(city: str, unit: str = 'C', /, *more: int, deep: 'Depth' = None, **others) -> dict[str, int]",
        "    Current weather.",
        "    ",
        "    In a city.",
        "",
    ]
    looks = "import inspect, types, typing\n[weather.__name__, isinstance(weather, types.FunctionType), "
    assert guest.value(looks + "str(inspect.signature(echo)), typing.get_type_hints(echo)]") == (
        "['weather', True, '(value)', {}]"
    )


def test_the_host_gets_the_arguments_as_the_code_gave_them(guest: Guest) -> None:
    guest.run("weather('Oslo')\nweather('Oslo', 'F', 1, 2, deep={'a': (1,)}, x=1)")
    assert guest.calls == [
        ("weather", ["Oslo"], {}),
        ("weather", ["Oslo", "F", 1, 2], {"deep": {"a": (1,)}, "x": 1}),
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("weather()", "weather() missing 1 required positional argument: 'city'"),
        ("weather(city='Oslo')", "weather() missing 1 required positional argument: 'city'"),
        ("echo(1, 2)", "echo() takes 1 positional argument but 2 were given"),
        ("echo(value=1, other=2)", "echo() got an unexpected keyword argument 'other'"),
        ("echo(print)", "echo() argument 1: $: builtin_function_or_method does not cross; give plain data: str, numbers, list, dict ..."),
        ("echo(value={'a': [1, lambda: 0]})", "echo() argument value: $.a[1]: function does not cross; give data, not code"),
        ("a = []; a.append(a); echo(a)", "echo() argument 1: $[0]: the value contains itself"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_a_type_error_before_anything_is_asked(guest: Guest, source: str, message: str) -> None:
    kind, said, _ = guest.error(source)
    assert (kind, said) == ("TypeError", message)
    assert guest.calls == []


def test_an_argument_that_is_too_large_is_an_error_of_the_cell(guest: Guest) -> None:
    kind, message, _ = guest.error("echo(b'x' * (65 << 20))")
    assert kind == "ValueError" and message.startswith("echo(): the arguments are too large: 68,157,")
    assert guest.value("echo(b'x' * (9 << 20)) == b'x' * (9 << 20)") == "True"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("try: fail('PermissionError', 'no entry')\nexcept OSError as e: r = (type(e), str(e))\nr", "(<class 'PermissionError'>, 'no entry')"),
        ("try: fail('KeyError', repr('k'))\nexcept KeyError as e: r = e.args\nr", "('k',)"),
        ("try: fail('KeyError', 'no such')\nexcept KeyError as e: r = e.args\nr", "('no such',)"),
        ("try: fail('TimeoutError')\nexcept TimeoutError as e: r = str(e)\nr", "'no'"),
        ("try: fail('RateLimited')\nexcept ToolError as e: r = type(e).__name__, str(e)\nr", "('RateLimited', 'no')"),
        ("try: fail('UnicodeDecodeError')\nexcept ValueError as e: r = str(e)\nr", "'no'"),
        ("try: fail('ExceptionGroup')\nexcept ToolError as e: r = str(e)\nr", "'no'"),
        ("try: fail('SystemExit')\nexcept ToolError as e: r = type(e).__name__\nr", "'SystemExit'"),
        ("try: fail('StopIteration')\nexcept ToolError as e: r = type(e).__name__\nr", "'StopIteration'"),
        ("try: fail('not a name')\nexcept ToolError as e: r = type(e).__name__\nr", "'ToolError'"),
        ("a = b = None\ntry: fail('Mine')\nexcept ToolError as e: a = type(e)\ntry: fail('Mine')\nexcept a: b = 'again'\nb", "'again'"),
    ],
)  # fmt: skip
def test_a_failure_is_an_exception_of_its_name(guest: Guest, source: str, expected: str) -> None:
    assert guest.value(source) == expected


def test_the_traceback_of_a_failure_ends_in_the_cell(guest: Guest) -> None:
    kind, message, text = guest.error("def f():\n    return fail('Odd', 'out')\nf()")
    assert (kind, message) == ("Odd", "out")
    assert [line for line in text.splitlines() if "^" not in line] == [
        "Traceback (most recent call last):",
        '  File "<cell 29>", line 3, in <module>'.replace("29", str(guest.cell)),
        "    f()",
        f'  File "<cell {guest.cell}>", line 2, in f',
        "    return fail('Odd', 'out')",
        "Odd: out",
    ]


# -- many at once ------------------------------------------------------------------------------------------------------


def test_threads_call_at_once_and_each_gets_its_own_answer(guest: Guest) -> None:
    guest.start(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool: r = list(pool.map(slow, range(40)))\nr"
    )
    waiting: list[wire.Call] = []
    answered = 0
    while answered < 40:
        while len(waiting) < min(8, 40 - answered):  # all that can be open
            waiting.append(guest.next())
        call = waiting.pop()  # the newest first
        guest.returned(call, values.decode(call.arguments)[0][0] * 10)
        answered += 1
    assert guest.finish().value == values.encode(repr([n * 10 for n in range(40)]))


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nawait asyncio.gather(*[slow.aio(i) for i in range(5)])",
        "import asyncio\nasync def main(): return await asyncio.gather(*[slow.aio(i) for i in range(5)])\nasyncio.run(main())",
        "import asyncio\nasync def main():\n    async with asyncio.TaskGroup() as g: t = [g.create_task(slow.aio(i)) for i in range(5)]\n"
        "    return [x.result() for x in t]\nawait main()",
        "import asyncio\nasync def main(): return await asyncio.gather(*[asyncio.to_thread(slow, i) for i in range(5)])\nawait main()",
    ],
    ids=["await", "run", "group", "threads"],
)  # fmt: skip
def test_aio_calls_are_open_together(guest: Guest, source: str) -> None:
    guest.start(source)
    calls = [guest.next() for _ in range(5)]
    for call in reversed(calls):
        guest.returned(call, values.decode(call.arguments)[0][0])
    assert guest.finish().value == values.encode("[0, 1, 2, 3, 4]")


def test_ids_count_up_whoever_calls(guest: Guest) -> None:
    guest.start("import threading\nts = [threading.Thread(target=slow, args=(i,)) for i in range(20)]\n[t.start() for t in ts]\n[t.join() for t in ts]\n0")  # fmt: skip
    calls = [guest.next() for _ in range(20)]
    assert [call.id for call in calls] == list(range(calls[0].id, calls[0].id + 20))
    for call in calls:
        guest.returned(call, None)
    assert guest.finish().error is None


def test_what_cannot_be_awaited_gets_a_hint(guest: Guest) -> None:
    for source in ("await echo(1)", "import asyncio\nawait asyncio.gather(echo(1), echo(2))"):
        done = guest.run(source)
        assert done.error is not None and done.error[0] == "TypeError"
        assert done.notes == ["a tool gives its value at once: no await, or await echo.aio(...) to have many at a time"]


def test_a_tool_that_is_overwritten_is_one_again_in_the_next_cell(guest: Guest) -> None:
    done = guest.run("echo = echo(3)\necho(4)")
    assert done.error is not None and done.error[1] == "'int' object is not callable"
    assert done.notes == ["echo is a tool, and is one again: what this cell put there is now echo_value"]
    assert guest.value("echo(5), echo_value") == "(5, 3)"


def test_a_thread_that_outlives_its_cell_calls_nothing(guest: Guest) -> None:
    source = (
        "import threading\ngo, said = threading.Event(), []\n"
        "def late():\n    go.wait()\n    try: echo(1)\n    except RuntimeError as e: said.append(str(e))\n"
        "def open_still():\n    try: slow(1)\n    except RuntimeError as e: said.append(str(e))\n"
        "ts = [threading.Thread(target=f) for f in (late, open_still)]\n[t.start() for t in ts]\necho(0)\n"
    )
    guest.start(source)
    assert guest.finish().error is None
    guest.run("go.set()\n[t.join() for t in ts]")
    said = guest.value("said")
    assert said is not None and said.count("its cell is over: call tools while the cell runs, and wait") >= 1
    assert [name for name, _, _ in guest.calls if name == "echo"] in (["echo"], ["echo", "echo"])


# -- the final answer --------------------------------------------------------------------------------------------------

ANSWERS = {
    "plainly": "final_answer([1, {'a': (2, None)}])\nafter = 1",
    "in a function in a loop": "def f():\n    for i in range(9):\n        final_answer([1, {'a': (2, None)}])\nf()",
    "in try": "try: final_answer([1, {'a': (2, None)}])\nexcept Exception: after = 1",
    "twice": "try: final_answer([1, {'a': (2, None)}])\nfinally: final_answer(2)",
    "caught": "try: final_answer([1, {'a': (2, None)}])\nexcept BaseException: pass\nafter = 2\n1/0",
    "in a coroutine": "async def f(): final_answer([1, {'a': (2, None)}])\nawait f()\nafter = 1",
    "gathered": "import asyncio\nasync def f(n):\n    await asyncio.sleep(0)\n    n or final_answer([1, {'a': (2, None)}])\n"
    "    await asyncio.sleep(99)\nawait asyncio.gather(f(0), f(1))\nafter = 1",
    "in asyncio.run": "import asyncio\nasync def f(): final_answer([1, {'a': (2, None)}])\nasyncio.run(f())\nafter = 1",
    "in a thread that is joined": "import threading\nt = threading.Thread(target=lambda: final_answer([1, {'a': (2, None)}]))\n"
    "t.start()\nt.join()\nimport time; time.sleep(60)",
    "in a thread while main sleeps": "import threading, time\n"
    "threading.Timer(0.01, lambda: final_answer([1, {'a': (2, None)}])).start()\ntime.sleep(60)\nafter = 1",
    "in a thread while main calls": "import threading, time\n"
    "threading.Timer(0.01, lambda: final_answer([1, {'a': (2, None)}])).start()\nslow(1)\nafter = 1",
    "in a pool": "from concurrent.futures import ThreadPoolExecutor\ndef f(n): final_answer([1, {'a': (2, None)}])\n"
    "with ThreadPoolExecutor(3) as p: list(p.map(f, range(3)))\nafter = 1",
    "called afterwards": "try: final_answer([1, {'a': (2, None)}])\nexcept BaseException: pass\nwhile True: echo(1)",
}  # fmt: skip


@pytest.mark.parametrize("how", ANSWERS)
def test_an_answer_ends_the_cell(guest: Guest, how: str) -> None:
    guest.run("after = 0")
    done = guest.run(ANSWERS[how])
    assert done.ended == "final_answer" and done.error is None and done.value is None
    assert done.answer == values.encode([1, {"a": (2, None)}])
    assert guest.stderr == ""
    assert guest.value("after") == ("2" if how == "caught" else "0")


def test_an_answer_that_does_not_cross_can_be_repaired(guest: Guest) -> None:
    assert guest.error("final_answer({'f': print})")[:2] == [
        "TypeError",
        "final_answer(): the value does not cross the wall: $.f: builtin_function_or_method does not cross; "
        "give plain data: str, numbers, list, dict ...",
    ]
    done = guest.run("try: final_answer(b'x' * (65 << 20))\nexcept TypeError: final_answer('small')")
    assert done.answer == values.encode("small")


def test_an_answer_of_none_is_an_answer(guest: Guest) -> None:
    assert guest.run("final_answer(None)").answer == values.encode(None)


# -- interrupts --------------------------------------------------------------------------------------------------------


def test_an_interrupt_stops_the_cell_and_keeps_its_names(guest: Guest) -> None:
    for source in (
        "while True: on = on or print('on', flush=True) or 1",
        "import time; print('on', flush=True) or time.sleep(60)",
        "import threading; print('on', flush=True) or threading.Event().wait()",
    ):
        guest.start("kept = 1\non = 0\n" + source)
        _wait_for(guest, "on")
        guest.interrupt()
        done = guest.finish()
        assert done.ended == "interrupted" and done.error is not None and done.error[0] == "Interrupted"
        assert f'File "<cell {guest.cell}>", line 3, in <module>' in done.error[2]
        assert done.complete == 2 + (";" in source)
        assert guest.value("kept") == "1"


def test_an_interrupt_of_a_cell_that_awaits_stops_its_tasks(guest: Guest) -> None:
    guest.start(
        "import asyncio\nasync def tick():\n    try: await asyncio.sleep(60)\n    finally: print('cleaned')\n"
        "t = asyncio.create_task(tick())\nawait asyncio.sleep(0)\nprint('on', flush=True) or await asyncio.sleep(60)\n1"
    )
    _wait_for(guest, "on")
    guest.interrupt()
    done = guest.finish()
    assert done.ended == "interrupted" and done.complete == 4 and "cleaned" in guest.stdout
    assert done.error is not None and "line 7, in <module>" in done.error[2]
    assert guest.value("await asyncio.sleep(0, 'well')") == "'well'"


def test_an_interrupt_ends_a_call_that_waits(guest: Guest) -> None:
    guest.start("r = slow(1)")
    call = guest.next()
    guest.interrupt()
    done = guest.finish()
    assert done.ended == "interrupted" and done.complete == 0
    guest.failed(call, "Interrupted", "too late for this one")
    assert guest.value("echo('well')") == "'well'"


def test_threads_that_wait_for_calls_come_out_of_an_interrupt(guest: Guest) -> None:
    guest.start(
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as p: r = list(p.map(slow, range(4)))"
    )
    calls = [guest.next() for _ in range(4)]
    guest.interrupt()
    for call in calls:
        guest.failed(call, "Interrupted", "the cell was stopped")
    assert guest.finish().ended == "interrupted"


def test_an_interrupt_that_is_swallowed_is_still_told(guest: Guest) -> None:
    guest.start("try:\n    print('on', flush=True)\n    while True: pass\nexcept BaseException: x = 'went on'\nx")
    _wait_for(guest, "on")
    guest.interrupt()
    done = guest.finish()
    assert done.ended == "interrupted" and done.value is None and done.complete == 2
    assert guest.value("x") == "'went on'"


def test_an_interrupt_stops_a_repr_and_a_library(guest: Guest) -> None:
    guest.start("class R:\n    def __repr__(self):\n        print('on', flush=True)\n        while True: pass\nR()")
    _wait_for(guest, "on")
    guest.interrupt()
    done = guest.finish()
    assert (done.ended, done.complete) == ("interrupted", 2)


def test_an_interrupt_before_the_cell_has_begun_means_that_cell(guest: Guest) -> None:
    for _ in range(20):
        guest.start("import time; time.sleep(60)")
        guest.interrupt()
        assert guest.finish().ended == "interrupted"


def test_an_interrupt_between_cells_means_nothing(guest: Guest) -> None:
    for _ in range(20):
        guest.run("1")
        guest.interrupt()
        guest.send(wire.Fetch(1, "absent"))  # a strike just before a word that is not a cell meant the cell before
        assert type(guest.next()) is wire.Fetched
        assert guest.run("2").ended == "done"


def test_an_interrupt_at_any_moment_of_many_calls_loses_nothing(guest: Guest) -> None:
    for pause in range(30):
        guest.start("n = 0\nwhile True:\n    assert echo(n) == n\n    n += 1")
        for _ in range(pause):
            guest.answer(guest.next())
        time.sleep(pause * 0.00003)
        guest.interrupt()
        done = guest.finish()
        assert done.ended == "interrupted", done
    assert guest.value("echo('well')") == "'well'"


def test_an_answer_after_an_interrupt_comes_too_late(guest: Guest) -> None:
    guest.start("try:\n    print('on', flush=True)\n    while True: pass\nexcept BaseException: final_answer(1)")
    _wait_for(guest, "on")
    guest.interrupt()
    assert guest.finish().ended == "interrupted"


def _wait_for(guest: Guest, text: str) -> None:
    end = time.monotonic() + PATIENCE
    while text not in guest.stdout:
        assert time.monotonic() < end, guest.stdout
        time.sleep(0.0005)
        guest.drain()
