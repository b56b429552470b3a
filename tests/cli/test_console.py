"""The console, given news by hand."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pytest

from codeact.core.events import (
    CodeContinued,
    CodeRan,
    CodeStarted,
    Connected,
    Delta,
    Discarded,
    Disconnected,
    Event,
    InterpreterLost,
    InterpreterRestored,
    ModelAsked,
    ModelReplied,
    OutputDelta,
    Resumed,
    RunStarted,
    SandboxReady,
    TaskEnded,
    TaskGiven,
    TextDelta,
    ToolCalled,
    ToolReturned,
)
from codeact.core.execution import CellError, Failure, Gone, Outcome, Returned
from codeact.core.messages import Image, Reply, Usage
from codeact.core.untrusted import escaped
from codeact.listeners.album import Album
from codeact.listeners.console import Console

SAID = "I look.\n```python\nx = 1\n```\n"


def written(*news: Event | Delta) -> list[str]:
    page = io.StringIO()
    with Console(page) as console:
        for item in news:
            console(item)
    return page.getvalue().splitlines()


def test_a_reply_that_streamed_and_one_that_came_whole_are_written_alike() -> None:
    whole = written(ModelAsked(1), ModelReplied(Reply(SAID)))
    pieces = [TextDelta(SAID[i : i + 3]) for i in range(0, len(SAID), 3)]
    assert written(ModelAsked(1), *pieces, ModelReplied(Reply(SAID))) == whole
    assert "I look." in whole


def test_code_that_runs_while_it_is_written_stands_by_what_it_did() -> None:
    reply = "I look.\n```python\nx = 1\ny = look(x)\nz = 2\n1 / 0\n"
    error = CellError("ZeroDivisionError", "", "ZeroDivisionError: division by zero")
    lines = written(
        RunStarted("a model", "linux", eager=True),
        ModelAsked(1),
        TextDelta(reply[:30]),
        CodeStarted(1, "x = 1\n", b""),
        TextDelta(reply[30:]),
        CodeContinued(1, "y = look(x)\n"),
        ToolCalled("k", 1, "look", {"value": 1}),
        ToolReturned("k", Returned(2)),
        CodeContinued(1, "z = 2\n"),
        CodeContinued(1, "1 / 0\n"),
        ModelReplied(Reply(reply, finish="unknown"), "broke off: the line broke"),
        CodeRan(1, Outcome("done", error=error)),
    )
    assert lines[lines.index("I look.") :] == [
        "I look.",
        "  | x = 1",
        "  | y = look(x)",
        "  @ look(value=1) -> 2",
        "  | z = 2",
        "  | 1 / 0",
        "  (the reply broke off: the line broke)",
        "  ! ZeroDivisionError: division by zero",
    ]


def test_code_that_came_whole_is_drawn_as_ever_where_it_could_have_run_ahead() -> None:
    news = ModelAsked(1), ModelReplied(Reply(SAID)), CodeStarted(1, "x = 1\n", b""), CodeRan(1, Outcome("done"))
    assert written(RunStarted("a", "linux", eager=True), *news) == written(RunStarted("a", "linux"), *news)


def test_what_was_discarded_is_marked_and_said_anew() -> None:
    lines = written(ModelAsked(1), TextDelta("I gue"), Discarded("cut off"), TextDelta(SAID), ModelReplied(Reply(SAID)))
    assert lines.index("  (what was said so far does not count)") < lines.index("I look.")


def test_a_picture_is_told_and_kept_where_somebody_sits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Outcome("done", images=(Image(b"\x89PNG" * 600, size=(640, 480)), Image(b"\x89PNG")))
    assert written(CodeRan(1, drawn)) == ["  (picture 1 (640x480 PNG, 2 kB))", "  (picture 2 (PNG, 1 kB))"]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    album = Album()
    first, second, third = [
        *album.lines(drawn, keep=True),
        *album.lines(Outcome("done", images=drawn.images[1:]), keep=True),
    ]
    (folder,) = tmp_path.iterdir()
    assert (first, second) == (
        f"picture 1 (640x480 PNG, 2 kB): {folder}/1.png",
        f"picture 2 (PNG, 1 kB): {folder}/2.png",
    )
    assert third.endswith("/3.png") and (folder / "1.png").read_bytes() == drawn.images[0].data


def test_a_picture_that_cannot_be_kept_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    (line,) = Album().lines(Outcome("done", images=(Image(b"\x89PNG"),)), keep=True)
    assert line == "picture 1 (PNG, 1 kB): not kept: No such file or directory"


def test_output_is_written_once_whether_it_streamed_or_not() -> None:
    outcome = Outcome("done", stdout="a\nb", stderr="c\n")
    expected = ["  | x = 1", "  > a", "  > b", "  2> c"]
    assert sorted(written(CodeStarted(1, "x = 1", b""), CodeRan(1, outcome))) == sorted(expected)
    streamed = [OutputDelta("stdout", "a\n"), OutputDelta("stderr", "c\n"), OutputDelta("stdout", "b")]
    assert sorted(written(CodeStarted(1, "x = 1", b""), *streamed, CodeRan(1, outcome))) == sorted(expected)


def test_a_flood_is_cut_and_counted() -> None:
    lines = written(CodeStarted(1, "x", b""), CodeRan(1, Outcome("done", stdout="line\n" * 1000)))
    assert len(lines) < 110
    assert lines[-1] == "  (900 more lines of output)"


def test_a_value_is_cut_whatever_the_guest_claims_a_preview_to_be() -> None:
    lines = written(CodeStarted(1, "x", b""), CodeRan(1, Outcome("done", preview="v" * 20_000)))
    assert lines[1:] == ["  = " + "v" * 16_000, "  = ... 4,000 more characters"]


def test_many_calls_are_cut_and_counted_but_no_failure_is() -> None:
    calls: list[Event] = []
    for number in range(50):
        failure = Failure("ValueError", "no such city") if number == 40 else None
        key = str(number)
        calls += [ToolCalled(key, 1, "weather", {"city": "Oslo"}), ToolReturned(key, Returned(7, failure))]
    lines = written(CodeStarted(1, "x", b""), *calls, CodeRan(1, Outcome("done")))
    assert lines.count("  @ weather(city='Oslo') -> 7") == 6
    assert "  @ weather(city='Oslo') failed: ValueError: no such city" in lines
    assert "  (43 more tool calls)" in lines


def test_connections_are_told_in_a_line_each_and_a_flood_of_them_is_cut() -> None:
    told = written(
        CodeStarted(1, "look()", b""),
        Connected(1, "api.example.org", 443, "192.0.2.7"),
        Disconnected(1, 10, 20),
        Connected(2, "evil.org", 80, None, "this run may reach api.example.org alone, not evil.org:80"),
        *(Connected(number, "127.0.0.1", 80, "127.0.0.1") for number in range(3, 100)),
    )
    assert "connected to api.example.org:443 (192.0.2.7)" in "\n".join(told)
    assert "not connected: this run may reach api.example.org alone, not evil.org:80" in "\n".join(told)
    assert sum("connected to 127.0.0.1:80" in line for line in told) == 4
    assert sum("more connections" in line for line in told) == 1


def test_a_death_and_an_end_without_an_answer_are_told() -> None:
    error = CellError("SandboxDied", "it left", "SandboxDied: it left")
    outcome = Outcome("exit", error=error, gone=Gone("it left"))
    lines = written(CodeStarted(1, "x", b""), CodeRan(1, outcome), InterpreterLost(Gone("it left")))
    assert lines[-2:] == ["  ! SandboxDied: it left", "!! it left"]
    assert written(InterpreterRestored(Gone("it left", 3)))[-1] == "!! it left; a copy from after cell 3 goes on"
    assert written(InterpreterRestored(Gone("it left", 0)))[-1].endswith("a copy from before the first cell goes on")
    assert "!! No answer: the steps are used up. 20 steps" in written(TaskEnded("max_steps", None, None, "20 steps"))


def test_the_last_line_counts_and_never_calls_an_unknown_number_of_tokens_zero() -> None:
    opening = [RunStarted("openai:x", "linux"), SandboxReady("full", "3.11.7"), TaskGiven("x")]
    ending = TaskEnded("final_answer", {"a": 1})
    known = written(*opening, ModelAsked(1), ModelReplied(Reply("", usage=Usage(1200, 34))), ending)
    assert known[-1].startswith("== 1 step · ") and "1,200 tokens in, 34 out" in known[-1]
    assert known[-1].endswith("sandbox linux, full") and "{'a': 1}" in known
    assert "tokens unknown" in written(*opening, ModelAsked(1), ModelReplied(Reply("")), ending)[-1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 😀 漢\n\t", "plain é 😀 漢\n\t"),
        ("a\r\nb\rc", "a\nb\\x0dc"),
        ("\x1b[31m\x07\x00\x7f\x9b", r"\x1b[31m\x07\x00\x7f\x9b"),
        ("\u202e\u2066\u200b\u2028\ufeff", r"\u202e\u2066\u200b\u2028\ufeff"),
        ("\ud800\U000e0041", r"\ud800\U000e0041"),
        ("👩\u200d🚀", "👩\u200d🚀"),
    ],
)
def test_wr_17_nothing_that_moves_colours_or_reorders_reaches_the_screen(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_a_run_that_goes_on_says_what_came_in_another_order() -> None:
    said = "  (goes on where it was cut off; cells 3, 9 put out the same in another order)"
    assert written(Resumed(otherwise=(3, 9))) == [said]
    assert written(Resumed(fresh=True)) == ["  (goes on where it was cut off, with a fresh interpreter)"]
