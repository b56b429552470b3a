"""A tool runs on the host: an async one in the task, a blocking one in a thread; what it raises stays a failure."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import enum
import functools
import pathlib
import threading
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel

from codeact.core.execution import Failure
from codeact.guest import values
from codeact.tools.failure import MAX_MESSAGE, failure_of, host_paths
from codeact.tools.function import as_tool, tool

WHO = contextvars.ContextVar("WHO", default="nobody")


async def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    made = as_tool(function)
    return await made.call(made.bind(args, kwargs))


async def test_a_blocking_tool_runs_in_a_daemon_thread_with_the_callers_context() -> None:
    def look() -> tuple[bool, bool, str]:
        return threading.current_thread() is threading.main_thread(), threading.current_thread().daemon, WHO.get()

    WHO.set("Ann")
    assert await call(look) == (False, True, "Ann")


async def test_an_async_tool_runs_in_the_callers_loop() -> None:
    loop = asyncio.get_running_loop()

    async def look() -> bool:
        await asyncio.sleep(0)
        return asyncio.get_running_loop() is loop

    assert await call(look)
    assert await call(tool(look))
    assert await call(tool(name="partial")(functools.partial(look)))


async def test_a_plain_function_may_give_something_to_await() -> None:
    async def later(x: int) -> int:
        return x + 1

    def now(x: int) -> Any:
        return later(x)

    assert await call(now, 1) == 2


def run_asyncio(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(main())


@pytest.mark.parametrize("outer", [run_asyncio, anyio.run])
@pytest.mark.parametrize("inner", [run_asyncio, anyio.run])
def test_a_blocking_tool_may_start_a_loop_of_its_own(outer: Callable[..., Any], inner: Callable[..., Any]) -> None:
    async def wait() -> str:
        await anyio.lowlevel.checkpoint()
        return "waited"

    def start() -> Any:
        return inner(wait)

    async def main() -> Any:
        return await call(start)

    assert outer(main) == "waited"


async def test_blocking_tools_run_beside_each_other() -> None:
    all_here = threading.Barrier(5, timeout=20)

    def meet() -> int:
        return all_here.wait()

    assert sorted(await asyncio.gather(*(call(meet) for _ in range(5)))) == [0, 1, 2, 3, 4]


async def test_a_cancelled_call_leaves_its_thread_to_itself() -> None:
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def wait() -> str:
        started.set()
        go_on.wait(20)
        ended.set()
        return "nobody hears this"

    task = asyncio.create_task(call(wait))
    await asyncio.to_thread(started.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not ended.is_set()
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 20)


async def test_a_cancelled_async_tool_is_cancelled_itself() -> None:
    seen = []
    started = asyncio.Event()

    async def wait() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.create_task(call(wait))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


def test_a_thread_that_outlives_its_loop_hurts_nobody() -> None:
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        go_on.wait(20)
        ended.set()

    async def give_up() -> None:
        task = asyncio.create_task(call(wait))
        await asyncio.to_thread(started.wait, 20)
        task.cancel()

    asyncio.run(give_up())
    go_on.set()
    assert ended.wait(20)


class Own(Exception):
    def __init__(self, a: int, b: threading.Lock) -> None:
        super().__init__(f"own {a}")
        self.lock = b


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


class Beyond(BaseException):
    pass


RAISED = [
    (ValueError("too cold"), Failure("ValueError", "too cold")),
    (KeyError("Oslo"), Failure("KeyError", "'Oslo'")),
    (Own(1, threading.Lock()), Failure("Own", "own 1")),
    (Mute(), Failure("Mute", "(its message cannot be shown)")),
    (StopIteration(5), Failure("RuntimeError", "the tool raised StopIteration: 5")),
    (SystemExit(3), Failure("RuntimeError", "the tool raised SystemExit: 3")),
    (KeyboardInterrupt(), Failure("RuntimeError", "the tool raised KeyboardInterrupt")),
    (GeneratorExit(), Failure("RuntimeError", "the tool raised GeneratorExit")),
    (asyncio.CancelledError(), Failure("RuntimeError", "the tool raised CancelledError")),
    (Beyond("x"), Failure("RuntimeError", "the tool raised Beyond: x")),
    (
        ExceptionGroup("two", [ValueError("a"), ExceptionGroup("one", [KeyError("b")])]),
        Failure(
            "ExceptionGroup",
            "two (2 sub-exceptions); ValueError: a; ExceptionGroup: one (1 sub-exception); KeyError: 'b'",
        ),
    ),
    (
        BaseExceptionGroup("worse", [SystemExit(1)]),
        Failure("RuntimeError", "the tool raised BaseExceptionGroup: worse (1 sub-exception); SystemExit: 1"),
    ),
]


@pytest.mark.parametrize(("error", "failure"), RAISED, ids=[type(error).__name__ for error, _ in RAISED])
@pytest.mark.parametrize("kind", ["blocking", "async"])
async def test_whatever_a_tool_raises_becomes_a_failure_and_the_host_goes_on(
    kind: str, error: BaseException, failure: Failure
) -> None:
    def blocking() -> None:
        raise error

    async def waiting() -> None:
        raise error

    with pytest.raises(Exception) as caught:
        await call(blocking if kind == "blocking" else waiting)
    told = failure_of(caught.value)
    if kind == "async" and isinstance(error, StopIteration):  # Python itself turns it into this
        assert told == Failure("RuntimeError", "coroutine raised StopIteration")
    else:
        assert told == failure
    assert await call(lambda_free) == "still here"


def lambda_free() -> str:
    return "still here"


KEY = "sk-proj-abc/123+x"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("401 for key sk-proj-abc/123+x", "401 for key ***"),
        ("https://x/?key=sk-proj-abc%2F123%2Bx&a=1", "https://x/?key=***&a=1"),
        ("No such file: '/home/ann/work/data.csv'", "No such file: '<host>/data.csv'"),
        ("No such file: '/home/ann/my work/data 1.csv'", "No such file: '<host>/data 1.csv'"),
        ('File "/home/ann/work/x.py", line 3', 'File "<host>/x.py", line 3'),
        ("in /home/ann/work/sub/: failed", "in <host>/sub: failed"),
        ("cwd is /home/ann", "cwd is <host>"),
        ("cwd is /home/ann/work.", "cwd is <host>."),
        ("cwd is /home/ann.", "cwd is <host>."),
        ("it's /home/annabel and /usr/share/x, as /api/v1", "it's /home/annabel and /usr/share/x, as /api/v1"),
        ("nothing secret in 401", "nothing secret in 401"),
        (r"No such file: 'C:\\Users\\Ann\\my work\\data 1.csv'", "No such file: '<host>/data 1.csv'"),
        (r'File "c:\users\ann\x.py", line 3, in C:/Users/Ann/sub/', 'File "<host>/x.py", line 3, in <host>/sub'),
        (r"cwd is C:\Users\Ann. Not C:\Users\Annabel", r"cwd is <host>. Not C:\Users\Annabel"),
    ],
)
def test_known_secrets_and_host_paths_are_masked_and_nothing_else(message: str, told: str) -> None:
    failure = failure_of(
        OSError(message), secrets=[KEY, "401"], paths=["/home/ann", "/home/ann/work/", "C:\\Users\\Ann"]
    )
    assert failure == Failure("OSError", told)


def test_neither_cause_nor_context_nor_traceback_crosses() -> None:
    try:
        try:
            raise OSError(f"{KEY} in {pathlib.Path.cwd()}/secret.txt")
        except OSError as error:
            raise LookupError("not found") from error
    except LookupError as error:
        assert failure_of(error) == Failure("LookupError", "not found")


def test_the_folders_we_run_in_are_masked_by_default() -> None:
    assert str(pathlib.Path.cwd()) in host_paths()
    assert "/" not in host_paths()
    told = failure_of(FileNotFoundError(2, "No such file or directory", str(pathlib.Path.cwd() / "notes" / "a.txt")))
    assert told == Failure("FileNotFoundError", "[Errno 2] No such file or directory: '<host>/a.txt'")


def test_a_huge_message_is_cut_and_counted() -> None:
    failure = failure_of(ValueError("x" * 100_000))
    assert failure.message == "x" * MAX_MESSAGE + " ... (96,000 more characters)"


class Unit(enum.Enum):
    CELSIUS = "C"


@dataclasses.dataclass
class Wind:
    speed: float
    unit: Unit = Unit.CELSIUS


class Report(BaseModel):
    winds: list[Wind]
    where: pathlib.PurePosixPath


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


LOOP: list[Any] = [1]
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "given"),
    [
        (Wind(3.5), {"speed": 3.5, "unit": "C"}),
        ([Wind(1), {"a": (Unit.CELSIUS, {Unit.CELSIUS})}], [{"speed": 1, "unit": "C"}, {"a": ("C", {"C"})}]),
        (
            Report(winds=[Wind(1)], where=pathlib.PurePosixPath("/a")),
            {"winds": [{"speed": 1, "unit": "C"}], "where": "/a"},
        ),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\xff", b"\xff"),
        (None, None),
    ],
)
async def test_what_has_fields_comes_back_as_plain_data(value: Any, given: Any) -> None:
    def give() -> Any:
        return value

    result = await call(give)
    assert result == given
    assert values.decode(values.encode(result)) == given


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (LOOP, r"\$\[1\]\[1\]: the value contains itself"),
        ({"rows": [1, {"fn": print}]}, r"\$\.rows\[1\]\.fn: builtin_function_or_method does not cross"),
        (deep(100_000), r"\$(\[0\])+: nested deeper than 64 levels"),
        ((x for x in "ab"), r"\$: generator does not cross; give list"),
        (threading.Lock(), r"\$: lock does not cross"),
    ],
)
async def test_what_does_not_cross_is_left_for_the_wall_to_refuse_with_its_path(value: Any, said: str) -> None:
    def give() -> Any:
        return value

    with pytest.raises(values.Refused, match=said):
        values.encode(await call(give))
