"""`codeact chat`: a conversation, typed at a real terminal or piped in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeact.faces.cli.chat.composing import Composed

from .command import codeact
from .typed import Typed

TOOLS = '''
def pay(to: str, amount: int = 1) -> str:
    """Pay somebody."""
    with open("paid", "a") as file:
        file.write(f"{to} {amount}\\n")
    return f"paid {amount}"
'''
KEPT = ("--journal", "runs.db")


def script(folder: Path, name: str, *cells: str) -> tuple[str, ...]:
    """A model that acts so, one cell a reply."""
    texts = [json.dumps({"text": f"Now.\n```python\n{cell}\n```"}) for cell in cells]
    (folder / name).write_text("\n".join(texts) + "\n")
    return ("--model", f"replay:{name}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("chat")
    (made / "tools.py").write_text(TOOLS)
    return made


@pytest.fixture
def typed(folder: Path) -> Iterator[list[Typed]]:
    made: list[Typed] = []
    yield made
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("lines", "turns"),
    [
        (["one"], ["one"]),
        (["one \\", "two"], ["one \ntwo"]),
        (['"""one', "", "two", 'three"""', "four"], ["one\n\ntwo\nthree", "four"]),
        (['"""all of it"""'], ["all of it"]),
        (["", "  ", "one"], ["one"]),
        (["not \\\\n"], ["not \\\\n"]),
    ],
)
def test_a_turn_is_a_line_or_several(lines: list[str], turns: list[str]) -> None:
    said = Composed()
    assert [whole for line in lines if (whole := said.add(line))] == turns
    assert said.empty and said.end() is None


def test_a_person_talks_takes_a_turn_back_and_tells_it_anew(folder: Path, typed: list[Typed]) -> None:
    model = script(
        folder,
        "day.jsonl",
        "rows = [1, 2]\nfinal_answer(f'{len(rows)} rows')",
        "pay('Ada', amount=5)\nrows.append(3)\nfinal_answer(f'{len(rows)} rows')",
        "final_answer(f'only {len(rows)} rows')",
    )
    chat = Typed(folder, "chat", *model, *KEPT, "--tools", "tools.py", "--approve", "pay")
    typed.append(chat)
    chat.wait_for("Ctrl-D leaves.\n> ")
    assert "2 rows" in chat.says("How many?")
    assert "? cell 2 calls pay(to='Ada', amount=5)" in chat.says("Pay Ada, \\\nand add one.", "Run it? ")
    chat.type("y\n")
    assert "3 rows" in chat.wait_for("\n> ")
    assert "rows  list  [1, 2, 3]" in chat.says("/vars")

    told = chat.says("/undo")
    assert "taken back: Pay Ada, and add one." in told and "pay()" in told
    assert (folder / "paid").read_text() == "Ada 5\n"
    assert "rows  list  [1, 2]" in chat.says("/vars")
    assert "did you mean '/vars'" in chat.says("/var")

    assert "? cell 2 calls pay" in chat.says("Pay her again.", "Run it? ")  # the model knows nothing of the first time
    chat.type("no\n")
    assert "only 2 rows" in chat.wait_for("\n> ")
    chat.type("/exit\n")
    status, said = chat.end()
    assert status == 0 and "codeact chat --resume " in said


def test_what_is_said_while_it_works_is_read_and_ctrl_c_stops_the_turn_alone(folder: Path, typed: list[Typed]) -> None:
    model = script(
        folder,
        "work.jsonl",
        "import time\nrows = [1]\nprint('going')\nwhile True: time.sleep(0.01)",
        "final_answer(f'still {rows}')",
    )
    chat = Typed(folder, "chat", *model, *KEPT)
    typed.append(chat)
    chat.wait_for("\n> ")
    chat.type("\x1b[200~Work.\nHard.\x1b[201~\n")  # as a terminal says that it was pasted
    chat.wait_for("│ going")
    chat.type("Hurry.\n")
    chat.wait_for("you said: Hurry.")
    chat.type("/vars\n")
    chat.interrupt()
    chat.wait_for("No answer: cancelled")
    assert "rows  list" in chat.wait_for("\n> ")  # the command that was typed meanwhile
    assert "still [1]" in chat.says("And?")
    chat.type("half a line")
    chat.wait_for("half a line")
    chat.interrupt_until("\n> ")
    chat.interrupt_until("(Ctrl-C again leaves, and so does Ctrl-D)\n> ")
    chat.interrupt()
    status, said = chat.end()
    assert status == 0
    run = said.split("codeact chat --resume ")[1].split()[0]

    again = Typed(folder, "chat", "--resume", run, *KEPT)
    typed.append(again)
    assert "goes on after 2 turns; the last: And?" in again.wait_for("\n> ")
    assert "rows  list" in again.says("/vars")
    assert "taken back: And?" in again.says("/undo")
    assert "still [1]" in again.says("Once more?")
    assert "taken back: Once more?" in again.says("/undo")
    assert "taken back: Work. Hard." in again.says("/undo")
    again.type("\x04")
    assert again.end()[0] == 0


def test_a_conversation_that_is_left_after_a_cancelled_turn_has_its_variables(folder: Path, typed: list[Typed]) -> None:
    model = script(folder, "left.jsonl", "rows = [1]\nprint('going')\nwhile True: pass", "final_answer(rows)")
    chat = Typed(folder, "chat", *model, *KEPT)
    typed.append(chat)
    chat.wait_for("\n> ")
    chat.type("Work.\n")
    chat.wait_for("│ going")
    chat.interrupt()
    chat.wait_for("No answer: cancelled")
    chat.wait_for("\n> ")
    chat.type("\x04")
    run = chat.end()[1].split("codeact chat --resume ")[1].split()[0]
    again = codeact("chat", "--resume", run, *KEPT, home=folder, stdin=b"/vars\nAnd?\n").out
    assert "rows  list  [1]" in again and "== Answer\n[1]" in again


def test_turns_are_piped_in_line_by_line(folder: Path) -> None:
    model = script(folder, "pipe.jsonl", "n = 40\nfinal_answer(n)", "final_answer(n + 2)", "import os\nos._exit(1)")
    lines = b'How many?\n/save code\n"""And\ntwo more?"""\n/undo\n/vars\n/model\nAnd now? \\\n'
    done = codeact("chat", *model, "--json", home=folder, stdin=lines)
    assert done.code == 0, done.err
    assert [line["output"] for line in done.lines] == [40, 42, 42]
    assert "Task: And\nTask: two more?" in done.err and "taken back: And two more?" in done.err
    assert "n  int  40" in done.err and "replay:pipe.jsonl" in done.err
    code = (folder / "code.py").read_text()
    assert "n = 40\nfinal_answer(n)" in code and "# 1. How many?" in code
    assert "File exists" in codeact("chat", *model, home=folder, stdin=b"/save code.py\n").out


def test_what_cannot_be_begun_is_said_at_once(folder: Path) -> None:
    for words, told in (
        (["Do this."], "named by its file"),
        (["--resume", "nothing", *KEPT], "no run begins with"),
        (["--modle", "x"], "did you mean '--model'"),
    ):
        done = codeact("chat", *words, home=folder, stdin=b"")
        assert done.code == 2 and told in done.err, done.err
