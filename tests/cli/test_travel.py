"""`codeact fork`, `show`, `diff` and `export`: runs that are kept are looked at, branched off and taken elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .command import codeact

TOOLS = '''
from codeact import tool

@tool
def book(seat: int) -> str:
    """Book a seat."""
    with open("ledger", "a") as ledger:
        ledger.write(f"{seat}\\n")
    return f"seat {seat}"
'''
REPLIES = (
    "I book two.\n```python\ngot = [book(1), book(2)]\nprint(len(got))\n```",
    "One is missing.\n```python\ngot.append(book(3))\n```",
    "That is all.\n```python\nfinal_answer(got)\n```",
)
KEPT = ("--journal", "runs.db")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a journal that holds a run of three steps, which called a tool three times."""
    place = tmp_path_factory.mktemp("desk")
    (place / "tools.py").write_text(TOOLS)
    told = [
        {"text": text, "usage": {"input_tokens": tokens, "output_tokens": 7 if tokens == 110 else 6}}
        for text, tokens in zip(REPLIES, (100, 110, 110), strict=True)
    ]
    (place / "replies.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told))
    others = (*REPLIES[:2], "Only the last.\n```python\nfinal_answer(got[-1])\n```")
    (place / "others.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in others))
    words = ("Book seats.", "--model", "replay:replies.jsonl", "--tools", "tools.py", *KEPT)
    done = codeact("run", *words, home=place)
    assert done.code == 0, done.err
    return place


def test_a_run_is_forked_behind_a_step_with_a_word_and_another_model(desk: Path) -> None:
    first = codeact("runs", *KEPT, "--json", home=desk).lines[-1]["run"]
    words = ("--at", "2", "--say", "Only the last.", "--model", "replay:others.jsonl", "--json")
    done = codeact("fork", first[:10], *words, *KEPT, home=desk, cwd=Path("/"), CODEACT_JOURNAL="")
    assert done.code == 2 and "no journal" in done.err  # the path is where it was typed
    done = codeact("fork", first[:10], *words, *KEPT, home=desk)
    assert (done.code, done.lines[0]["output"]) == (0, "seat 3"), done.err
    assert "step 2 of run" in done.err and "you said: Only the last." in done.err
    assert (desk / "ledger").read_text().split() == ["1", "2", "3"]
    apart = codeact("diff", first, "last", *KEPT, home=desk)
    assert apart.code == 0 and "step 2: words" in apart.out
    assert "- final_answer(got)\n+ final_answer(got[-1])" in apart.out
    beside = codeact("diff", first, "last", "--side-by-side", *KEPT, home=desk).out
    assert max(map(len, beside.splitlines())) <= 80 and "| final_answer(got[-1])" in beside
    (line,) = codeact("diff", first, "last", "--json", *KEPT, home=desk).lines
    assert (line["same"], line["parts_at"], line["steps"][2]["differs"]) == (False, 2, ["text", "code", "outcome"])
    again = codeact("resume", "last", *KEPT, "--json", home=desk)
    assert (again.code, again.lines[0]["run_id"]) == (0, done.lines[0]["run_id"])


def test_a_run_is_shown_whole_in_80_columns_and_as_its_entries(desk: Path) -> None:
    first = codeact("runs", *KEPT, "--json", home=desk).lines[-1]
    assert first["usage"]["input_tokens"] == 320 and first["steps"] == 3
    shown = codeact("show", first["run"][:10], *KEPT, home=desk)
    assert shown.code == 0 and max(map(len, shown.out.splitlines())) <= 80, shown.out
    for line in (
        "Task: Book seats.",
        "I book two.",
        "  | got = [book(1), book(2)]",
        "  @ book(seat=2) -> 'seat 2'",
        "  > 2",
        "  ['seat 1', 'seat 2', 'seat 3']",
    ):
        assert line in shown.out, line
    assert shown.out.count("got = [book(1), book(2)]") == 1 and "```" not in shown.out
    assert "── step 3 " in shown.out and "110 tokens in, 7 out" in shown.out
    entries = codeact("show", first["run"], "--json", *KEPT, home=desk).lines
    assert [entry["seq"] for entry in entries] == [*range(len(entries))]
    assert [entry["event"] for entry in entries][:3:2] == ["RunStarted", "TaskGiven"]
    assert codeact("show", "last", "--json", "--html", "x", *KEPT, home=desk).code == 2
    table = codeact("runs", *KEPT, home=desk).out
    assert "Book seats." in table and "done" in table and "340" in table


def test_runs_are_exported_for_training(desk: Path) -> None:
    chats = codeact("export", *KEPT, home=desk)
    first = chats.lines[0]
    assert chats.code == 0 and (first["success"], first["reward"], first["answer"][2]) == (True, 1.0, "seat 3")
    assert [message["role"] for message in first["messages"]] == ["system", *["user", "assistant"] * 3]
    assert [(step["ok"], step["tool_calls"], step["message"]) for step in first["steps"]] == [
        (True, 2, 2),
        (True, 1, 4),
        (True, 0, 6),
    ]
    words = ("--format", "codeactinstruct", "--successful", "--output", "train.jsonl", *KEPT)
    done = codeact("export", first["run"], *words, home=desk)
    assert (done.code, done.out, done.err) == (0, "", "1 line of 1 run\n")
    (line,) = map(json.loads, (desk / "train.jsonl").read_text().splitlines())
    said = line["conversations"]
    assert [turn["role"] for turn in said] == ["system", *["user", "assistant"] * 3]
    assert said[2]["content"] == "I book two.\n<execute>\ngot = [book(1), book(2)]\nprint(len(got))\n</execute>"
    assert said[3]["content"].startswith("Observation:\n") and "<execute>" in said[0]["content"]
    unknown = codeact("export", "--format", "cats", *KEPT, home=desk)
    assert unknown.code == 2 and "did you mean 'chat'?" in unknown.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("last",), "--at N"),
        (("last", "--at", "two"), "not the number of a step: 'two'"),
        (("last", "--at", "9"), "the run has 3 steps"),
    ],
)
def test_what_cannot_be_forked_is_said(desk: Path, words: tuple[str, ...], why: str) -> None:
    done = codeact("fork", *words, *KEPT, home=desk)
    assert done.code == 2 and why in done.err
