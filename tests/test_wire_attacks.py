"""What a hostile or broken guest may say, and what the host makes of it: an outcome, never an error or a hang.

Names begin with the ids of the list of ways out.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest

from codeact.core.errors import SandboxUnavailable
from codeact.core.execution import Failure, Limits, Outcome, Policy, ToolSpec
from codeact.core.messages import Image
from codeact.guest import values, wire
from codeact.interpreter import Interpreter
from codeact.interpreter.capture import Capture
from codeact.interpreter.conversation import Asked
from codeact.testing import FakeGuest, FakeSandbox

LIMITS = Limits(seconds=0.3, grace=0.1, calls=5, open_calls=2, output=1024)
SEED = bytes(16)


def done(run: wire.Run, **changes: object) -> wire.Done:
    fields = dict(
        nonce=run.nonce,
        ended="done",
        complete=1,
        value=None,
        preview=None,
        error=None,
        answer=None,
        notes=[],
        images=None,
    )
    return wire.Done(**{**fields, **changes})  # type: ignore[arg-type]


async def opened(guest: FakeGuest) -> None:
    assert isinstance(await guest.hear(), wire.Open)
    guest.say(wire.Ready("3.11.7"))


async def door(asked: Asked) -> values.Packed | Failure:
    args, kwargs = values.decode(asked.arguments)
    return values.encode([asked.tool, args, kwargs])


Play = Callable[[FakeGuest, wire.Run], Awaitable[None]]


async def outcome_of(play: Play, *, limits: Limits = LIMITS, door: object = door) -> Outcome:
    """The outcome of one cell, when the guest plays like this after it heard of it."""

    async def whole(guest: FakeGuest) -> None:
        await opened(guest)
        run = await guest.hear()
        assert isinstance(run, wire.Run)
        await play(guest, run)
        await asyncio.sleep(60)

    tools = [ToolSpec("look", "(x)"), ToolSpec("slow", "()")]
    async with Interpreter(FakeSandbox(whole), Policy(limits), tools) as python:
        async with asyncio.timeout(10):
            return await python.run(1, "x", SEED, door, lambda delta: None)  # type: ignore[arg-type]


async def test_a_cell_that_ends_gives_its_value_and_its_output() -> None:
    async def play(guest: FakeGuest, run: wire.Run) -> None:
        guest.print(b"hello\n")
        guest.print(b"oh\xff", "stderr")
        guest.say(done(run, value=values.encode("4\ud8002"), preview=values.encode("42")))

    outcome = await outcome_of(play)
    assert (outcome.value, outcome.stdout, outcome.stderr, outcome.ended) == (
        "4\\ud8002",
        "hello\n",
        "oh\ufffd",
        "done",
    )
    assert outcome.ok and outcome.kept


def frame(header: bytes, rest: bytes = b"") -> bytes:
    return struct.pack(">II", 4 + len(header) + len(rest), len(header)) + header + rest


NONSENSE = {
    "wr-02 a length of four gigabytes": b"\xff\xff\xff\xff",
    "wr-02 a length just over the most": struct.pack(">II", wire.MAX_FRAME + 1, 10),
    "wr-02 a header longer than its frame": struct.pack(">II", 10, 100) + b"x" * 20,
    "wr-04 an empty frame": struct.pack(">II", 0, 0),
    "wr-04 an empty header": frame(b""),
    "wr-04 an empty object": frame(b"{}"),
    "wr-04 a list": frame(b"[]"),
    "wr-04 a number": frame(b"7"),
    "wr-04 not JSON": frame(b"{nope"),
    "wr-07 pickle": frame(b"\x80\x04\x95\x00."),
    "wr-05 UTF-8 where ASCII belongs": frame('{"w":"Done","b":[],"ü":1}'.encode()),
    "wr-05 NaN": frame(b'{"w":"Ready","b":[],"python":NaN}'),
    "wr-05 a key twice": frame(b'{"w":"Ready","w":"Ready","b":[],"python":"3"}'),
    "wr-04 an unknown word": frame(b'{"w":"Grant","b":[]}'),
    "wr-08 a word of the host": frame(b'{"w":"Returned","b":[],"id":1,"value":null,"failure":null}'),
    "wr-04 a field missing": frame(b'{"w":"Bound","b":[],"id":1}'),
    "wr-04 a field too many": frame(b'{"w":"Bound","b":[],"id":1,"failure":null,"approved":true}'),
    "wr-04 a field of another type": frame(b'{"w":"Bound","b":[],"id":"1","failure":null}'),
    "wr-04 a bool for an int": frame(b'{"w":"Bound","b":[],"id":true,"failure":null}'),
    "wr-05 a hundred thousand lists deep": frame(
        b'{"w":"Ready","b":[],"python":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    ),
    "wr-05 millions of items": frame(b'{"w":"Ready","b":[' + b"0," * 3_000_000 + b"0]}"),
    "wr-05 a number of a million digits": frame(b'{"w":"Bound","b":[],"id":' + b"9" * 1_000_000 + b',"failure":null}'),
    "wr-05 blobs that do not add up": frame(b'{"w":"Ready","b":[5],"python":"3"}', b"four"),
    "wr-05 a negative blob": frame(b'{"w":"Ready","b":[-1,5],"python":"3"}', b"four"),
    "wr-04 Ready a second time": wire.encode(wire.Ready("3.11.7")),
    "wr-13 an answer to no question": wire.encode(wire.Bound(1, None)),
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_on_the_wire_ends_the_guest_and_nothing_else(name: str) -> None:
    async def play(guest: FakeGuest, run: wire.Run) -> None:
        guest.say_bytes(NONSENSE[name])

    outcome = await outcome_of(play)
    assert outcome.error is not None and outcome.error.type == "SandboxDied", outcome
    assert "protocol" in outcome.error.message
    assert not outcome.kept


def picture(width: int = 2, height: int = 2, data: bytes = b"") -> bytes:
    """The frame of a PNG; what is in it nobody looks at."""
    chunks = ((b"IHDR", struct.pack(">II5x", width, height)), (b"IDAT", data), (b"IEND", b""))
    framed = (struct.pack(">I", len(body)) + kind + body + bytes(4) for kind, body in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


async def test_the_pictures_of_a_cell_come_out_undecoded() -> None:
    pictures = [picture(640, 480), picture(3, 4, b"no pixels at all")]

    async def play(guest: FakeGuest, run: wire.Run) -> None:
        guest.say(done(run, images=values.encode(pictures)))

    outcome = await outcome_of(play)
    assert outcome.images == (Image(pictures[0], size=(640, 480)), Image(pictures[1], size=(3, 4)))


STALE: dict[str, Callable[[wire.Run], wire.Word]] = {
    "wr-09 the end of another cell": lambda run: done(run, nonce="0" * 16),
    "wr-09 a call of another cell": lambda run: wire.Call("0" * 16, 1, "look", values.encode([[], {}])),
    "wr-10 an end that is no end": lambda run: done(run, ended="paused"),
    "wr-10 a final answer without one": lambda run: done(run, ended="final_answer"),
    "wr-10 an answer of a cell that gave none": lambda run: done(run, answer=values.encode(1)),
    "wr-04 fewer statements than none": lambda run: done(run, complete=-5),
    "wr-04 more statements than fit into a cell": lambda run: done(run, complete=10**30),
    "wr-04 an error of two parts": lambda run: done(run, error=["ValueError", "no"]),
    "wr-04 an error of numbers": lambda run: done(run, error=[1, 2, 3]),
    "wr-04 a value that is not text": lambda run: done(run, value=values.encode(42)),
    "wr-07 an answer of an unknown tag": lambda run: done(
        run, ended="final_answer", answer=values.Packed({"$pickle": "gASVAA=="})
    ),
    "wr-04 a note that is not text": lambda run: done(run, notes=[1]),
    "pictures of none": lambda run: done(run, images=values.encode([])),
    "pictures that are no list": lambda run: done(run, images=values.encode({"$bytes": picture()})),
    "a picture that is text": lambda run: done(run, images=values.encode(["\x89PNG"])),
    "a picture that would have to be decoded": lambda run: done(
        run, images=values.Packed([{"$image": "iVBORw0KGgo="}])
    ),
    "a picture that is a web page": lambda run: done(run, images=values.encode([b"<svg onload=alert(1)>"])),
    "a picture with something behind it": lambda run: done(run, images=values.encode([picture() + b"PK\x03\x04"])),
    "a picture that unpacks to sixteen gigabytes": lambda run: done(
        run, images=values.encode([picture(65_535, 65_535)])
    ),
    "a picture of five megabytes": lambda run: done(run, images=values.encode([picture(2, 2, bytes(5 << 20))])),
    "nine pictures": lambda run: done(run, images=values.encode([picture()] * 9)),
    "a picture of a blob that is not there": lambda run: done(run, images=values.Packed([{"$bytes": 3}])),
}


@pytest.mark.parametrize("name", STALE)
async def test_a_word_out_of_its_place_ends_the_guest(name: str) -> None:
    async def play(guest: FakeGuest, run: wire.Run) -> None:
        guest.say(STALE[name](run))

    outcome = await outcome_of(play)
    assert outcome.error is not None and outcome.error.type == "SandboxDied"
    assert not outcome.kept


async def test_wr_13_a_call_whose_id_came_before_ends_the_guest() -> None:
    async def play(guest: FakeGuest, run: wire.Run) -> None:
        for _ in range(2):
            guest.say(wire.Call(run.nonce, 1, "look", values.encode([[], {}])))

    assert not (await outcome_of(play)).kept


async def test_calls_are_answered_by_their_ids() -> None:
    heard = {}

    async def play(guest: FakeGuest, run: wire.Run) -> None:
        for number in (1, 2):
            guest.say(wire.Call(run.nonce, number, "look", values.encode([[number], {"b": "x"}])))
        for _ in range(2):
            word = await guest.hear()
            heard[word.id] = values.decode(word.value)
        guest.say(done(run))

    assert (await outcome_of(play)).ok
    assert heard == {1: ["look", [1], {"b": "x"}], 2: ["look", [2], {"b": "x"}]}


async def test_a_tool_that_was_not_offered_is_not_called() -> None:
    heard = []

    async def play(guest: FakeGuest, run: wire.Run) -> None:
        guest.say(wire.Call(run.nonce, 1, "system", values.encode([["rm"], {}])))
        heard.append(await guest.hear())
        guest.say(done(run))

    await outcome_of(play)
    assert heard[0].failure == ["NameError", "there is no tool named 'system'"]


async def test_calls_beyond_the_limit_fail_and_the_cell_goes_on() -> None:
    heard = []

    async def play(guest: FakeGuest, run: wire.Run) -> None:
        for number in range(1, 8):
            guest.say(wire.Call(run.nonce, number, "look", values.encode([[], {}])))
            heard.append(await guest.hear())
        guest.say(done(run))

    assert (await outcome_of(play)).ok
    assert [word.failure is None for word in heard] == [True] * 5 + [False] * 2
    assert "5 tool calls" in heard[-1].failure[1]


async def test_wr_14_a_flood_of_calls_waits_at_the_door() -> None:
    most = 0
    now = 0

    async def slow(asked: Asked) -> values.Packed | Failure:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.005)
        now -= 1
        return values.encode(None)

    async def play(guest: FakeGuest, run: wire.Run) -> None:
        for number in range(1, 51):
            guest.say(wire.Call(run.nonce, number, "slow", values.encode([[], {}])))
        for _ in range(50):
            await guest.hear()
        guest.say(done(run))

    limits = Limits(seconds=5, open_calls=2)
    assert (await outcome_of(play, door=slow, limits=limits)).ok
    assert most == 2


async def test_wr_14_the_answers_that_a_guest_does_not_take_are_as_few_as_its_open_calls() -> None:
    called = 0

    async def counting(asked: Asked) -> values.Packed | Failure:
        nonlocal called
        called += 1
        return values.encode("x" * 1_000_000)

    async def play(guest: FakeGuest, run: wire.Run) -> None:
        guest.deaf = True
        for number in range(1, 51):
            guest.say(wire.Call(run.nonce, number, "slow", values.encode([[], {}])))

    outcome = await outcome_of(play, door=counting)
    assert outcome.ended == "timeout" and called == LIMITS.open_calls


async def test_a_cell_over_its_time_is_interrupted_and_keeps_its_variables() -> None:
    async def play(guest: FakeGuest, run: wire.Run) -> None:
        await guest.interrupted.wait()
        error = ["Interrupted", "", "Traceback (most recent call last):\n  File <cell 1>\nInterrupted"]
        guest.say(done(run, ended="interrupted", error=error))

    outcome = await outcome_of(play)
    assert (outcome.ended, outcome.kept) == ("timeout", True)
    assert outcome.error is not None and outcome.error.type == "CellTimeout"
    assert outcome.error.traceback.endswith("CellTimeout: the cell ran longer than its 0.3 s and was interrupted")


async def test_a_cell_that_swallows_the_interrupt_has_still_timed_out() -> None:
    async def play(guest: FakeGuest, run: wire.Run) -> None:
        await guest.interrupted.wait()
        guest.say(done(run, value=values.encode("'done after all'")))

    outcome = await outcome_of(play)
    assert (outcome.ended, outcome.kept, outcome.ok) == ("timeout", True, False)


async def test_a_cell_whose_end_comes_while_its_guest_is_killed_is_told_of_the_death() -> None:
    async def play(guest: FakeGuest, run: wire.Run) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            guest.say(done(run))  # it had been on its way

    outcome = await outcome_of(play)
    assert (outcome.ended, outcome.kept) == ("timeout", False) and outcome.gone is not None


async def test_a_guest_that_ignores_the_interrupt_is_killed_and_it_is_said() -> None:
    async def play(guest: FakeGuest, run: wire.Run) -> None:
        guest.print(b"before")
        await asyncio.sleep(60)

    outcome = await outcome_of(play)
    assert (outcome.ended, outcome.kept, outcome.stdout) == ("timeout", False, "before")
    assert outcome.error is not None and outcome.error.type == "CellTimeout" and "killed" in outcome.error.message


async def test_waiting_for_a_slow_tool_is_not_the_cells_time() -> None:
    async def slow(asked: Asked) -> values.Packed | Failure:
        await asyncio.sleep(0.6)
        return values.encode("late")

    async def play(guest: FakeGuest, run: wire.Run) -> None:
        guest.say(wire.Call(run.nonce, 1, "slow", values.encode([[], {}])))
        answer = await guest.hear()
        guest.say(done(run, value=answer.value, preview=answer.value))

    outcome = await outcome_of(play, door=slow)
    assert (outcome.ended, outcome.value) == ("done", "late")


async def test_open_calls_are_answered_when_the_cell_is_interrupted() -> None:
    cancelled = []
    heard = []

    async def endless(asked: Asked) -> values.Packed | Failure:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(asked.tool)
            raise
        raise AssertionError

    async def play(guest: FakeGuest, run: wire.Run) -> None:
        guest.say(wire.Call(run.nonce, 1, "slow", values.encode([[], {}])))
        heard.append(await guest.hear())
        guest.say(done(run, ended="interrupted"))

    async def whole(guest: FakeGuest) -> None:
        await opened(guest)
        await play(guest, await guest.hear())

    async with Interpreter(FakeSandbox(whole), Policy(LIMITS), [ToolSpec("slow", "()")]) as python:
        asyncio.get_running_loop().call_later(0.05, python.interrupt)
        outcome = await python.run(1, "x", SEED, endless, lambda delta: None)
    assert cancelled == ["slow"] and heard[0].failure[0] == "Interrupted"
    assert outcome.error is not None and outcome.error.type == "KeyboardInterrupt" and outcome.kept


async def test_cancelling_the_wait_interrupts_the_cell_and_the_interpreter_stays() -> None:
    async def whole(guest: FakeGuest) -> None:
        await opened(guest)
        first = await guest.hear()
        await guest.interrupted.wait()
        guest.say(done(first, ended="interrupted"))
        between = await guest.hear()  # an interrupt that is late hits this, and not the next cell
        assert isinstance(between, wire.Fetch)
        guest.say(wire.Fetched(between.id, values.encode("__main__"), None))
        guest.say(done(await guest.hear(), value=values.encode("2")))
        await asyncio.sleep(60)

    async with Interpreter(FakeSandbox(whole), Policy(Limits(seconds=30))) as python:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await python.run(1, "while True: pass", SEED, door, lambda delta: None)
        assert (await python.run(2, "1 + 1", SEED, door, lambda delta: None)).value == "2"


async def test_an_exception_of_our_own_at_the_door_ends_the_run() -> None:
    async def broken(asked: Asked) -> values.Packed | Failure:
        raise OSError("the journal cannot write")

    async def play(guest: FakeGuest, run: wire.Run) -> None:
        guest.say(wire.Call(run.nonce, 1, "look", values.encode([[], {}])))
        await guest.hear()
        guest.say(done(run))

    with pytest.raises(OSError, match="journal cannot write"):
        await outcome_of(play, door=broken)


async def test_an_answer_too_large_for_a_frame_fails_the_call_and_not_the_host() -> None:
    heard = []

    async def huge(asked: Asked) -> values.Packed | Failure:
        return values.encode(bytes(wire.MAX_FRAME + 1))

    async def play(guest: FakeGuest, run: wire.Run) -> None:
        guest.say(wire.Call(run.nonce, 1, "look", values.encode([[], {}])))
        heard.append(await guest.hear())
        guest.say(done(run))

    assert (await outcome_of(play, door=huge, limits=Limits(seconds=5))).ok
    assert heard[0].failure[0] == "ValueError" and "look()" in heard[0].failure[1]


async def test_wr_10_the_first_answer_counts_and_an_error_beats_it() -> None:
    async def answered(guest: FakeGuest, run: wire.Run) -> None:
        guest.say(done(run, ended="final_answer", answer=values.encode(None)))

    async def both(guest: FakeGuest, run: wire.Run) -> None:
        guest.say(done(run, ended="final_answer", answer=values.encode(1), error=["E", "m", "t"]))

    outcome = await outcome_of(answered)
    assert outcome.ended == "final_answer" and outcome.answer is not None and outcome.final_answer is None
    outcome = await outcome_of(both)
    assert outcome.ended == "done" and outcome.answer is None and outcome.error is not None


async def test_a_guest_that_leaves_is_replaced_at_the_next_cell_with_its_bindings() -> None:
    lives = 0
    bound = []

    async def whole(guest: FakeGuest) -> None:
        nonlocal lives
        lives += 1
        await opened(guest)
        while True:
            word = await guest.hear()
            if isinstance(word, wire.Bind):
                bound.append((lives, values.decode(word.values)))
                guest.say(wire.Bound(word.id, None))
            elif lives == 1:
                return
            else:
                guest.say(done(word, value=values.encode("'fresh'")))

    async with Interpreter(FakeSandbox(whole), Policy(LIMITS)) as python:
        await python.bind({"stdin": "text"})
        first = await python.run(1, "x", SEED, door, lambda delta: None)
        assert (first.ended, first.kept) == ("exit", False)
        assert first.error is not None and first.error.type == "SandboxDied"
        second = await python.run(2, "x", SEED, door, lambda delta: None)
        assert second.value == "'fresh'"
    assert bound == [(1, {"stdin": "text"}), (2, {"stdin": "text"})]


async def test_a_guest_that_does_not_come_up_is_a_sandbox_that_is_not_available() -> None:
    async def stillborn(guest: FakeGuest) -> None:
        return

    with pytest.raises(SandboxUnavailable, match="left by itself"):
        async with Interpreter(FakeSandbox(stillborn), Policy(LIMITS)):
            pass


def test_output_is_kept_from_both_ends_and_what_was_cut_is_counted() -> None:
    capture = Capture(100)
    capture.begin()
    for number in range(1000):
        capture.write("stdout", f"{number:03d}\n".encode())
    stdout, stderr, dropped = capture.end()
    assert stdout.startswith("000\n001\n") and stdout.endswith("998\n999\n") and "3,900 bytes left out" in stdout
    assert (stderr, dropped) == ("", 3900)


@pytest.mark.parametrize("size", [0, 1, 49, 50, 51, 99, 100, 101, 149, 1000])
@pytest.mark.parametrize("step", [1, 7, 50, 1000])
def test_output_up_to_the_limit_is_whole_however_it_is_cut(size: int, step: int) -> None:
    data = bytes(65 + i % 26 for i in range(size))
    capture = Capture(100)
    capture.begin()
    for at in range(0, size, step):
        capture.write("stdout", data[at : at + step])
    stdout, _, dropped = capture.end()
    if size <= 100:
        assert (stdout, dropped) == (data.decode(), 0)
    else:
        assert stdout.startswith(data[:50].decode()) and stdout.endswith(data[-50:].decode())
        assert dropped == size - 100


def test_output_between_two_cells_belongs_to_neither() -> None:
    capture = Capture(100)
    capture.write("stdout", b"stray")
    capture.begin()
    capture.write("stdout", b"own")
    assert capture.end()[0] == "own"
    assert capture.stray == 5
