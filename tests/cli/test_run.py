"""`codeact run`: one task, for people and for programs."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .command import CODEACT, codeact, environment

KEYS = ["output", "stop_reason", "steps", "usage", "run_id", "error"]


def replay(folder: Path, *replies: str | dict[str, Any]) -> str:
    """A model that says these replies; a str is code to run."""
    lines = [{"text": f"I act.\n```python\n{reply}\n```\n"} if isinstance(reply, str) else reply for reply in replies]
    (folder / "replies.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"replay:{folder / 'replies.jsonl'}"


ENDS: list[tuple[tuple[Any, ...], dict[str, Any], int]] = [
    (("final_answer([(1, 2)])",), {"output": [{"$tuple": [1, 2]}], "stop_reason": "final_answer", "steps": 1}, 0),
    (("final_answer(None)",), {"output": None, "stop_reason": "final_answer", "error": None}, 0),
    (("x = 1", "1/0", "final_answer(x)"), {"output": 1, "stop_reason": "final_answer", "steps": 3}, 0),
    (("x = 1", "x"), {"output": None, "stop_reason": "max_steps", "steps": 2}, 1),
    (({"text": "Hm."},) * 3, {"output": None, "stop_reason": "stalled", "steps": 3}, 1),
    (({"text": "I will not.", "finish": "content_filter"},), {"stop_reason": "refused", "steps": 1}, 1),
    (("x = 1",), {"output": None, "stop_reason": "error", "steps": 1}, 1),
    (({"text": "", "error": "the server is on fire"},), {"output": None, "stop_reason": "error", "steps": 0}, 1),
]  # fmt: skip


@pytest.mark.parametrize(("replies", "expected", "code"), ENDS)
def test_a_run_is_one_line_however_it_ended(
    replies: tuple[Any, ...], expected: dict[str, Any], code: int, tmp_path: Path
) -> None:
    max_steps = "2" if expected["stop_reason"] == "max_steps" else "5"
    model = replay(tmp_path, *replies)
    done = codeact("run", "Do it.", "--json", "--model", model, "--max-steps", max_steps, home=tmp_path)
    (line,) = done.lines
    assert done.out.isascii()
    assert list(line)[: len(KEYS)] == KEYS
    assert {key: line[key] for key in expected} == expected
    assert list(line["usage"]) == ["input_tokens", "output_tokens", "cached_tokens", "requests", "cache_write_tokens"]
    assert (line["error"] is None) == (code == 0)
    if code:
        assert list(line["error"]) == ["type", "message"] and line["error"]["message"]
    assert line["run_id"] and line["level"].partition("+")[0] in ("full", "plain")
    assert "Traceback" not in done.err or "1/0" in replies
    assert done.code == code
    (listed,) = codeact("runs", "--json", home=tmp_path).lines
    assert [listed["steps"], listed["stop_reason"]] == [line["steps"], line["stop_reason"]]


def test_usage_is_summed_and_null_where_it_is_not_known(tmp_path: Path) -> None:
    def spoken(code: str, **tokens: int) -> dict[str, Any]:
        return {"text": f"```python\n{code}\n```", "usage": tokens}

    model = replay(
        tmp_path,
        spoken("1", input_tokens=10, output_tokens=2),
        spoken("final_answer(1)", input_tokens=20, output_tokens=3),
    )
    (line,) = codeact("run", "x", "--json", "--model", model, home=tmp_path).lines
    assert line["usage"] == {
        "input_tokens": 30,
        "output_tokens": 5,
        "cached_tokens": None,
        "requests": 2,
        "cache_write_tokens": None,
    }


def test_people_see_thought_code_output_and_answer(tmp_path: Path) -> None:
    model = replay(tmp_path, "print('seen')\n1/0", "final_answer('Bergen')")
    done = codeact("run", "Where is it colder?", "--model", model, home=tmp_path)
    assert done.code == 0
    shown = ["Where is it colder?", "I act.", "| print('seen')", "> seen", "ZeroDivisionError", "Bergen", "2 steps"]
    places = [done.out.index(text) for text in shown]
    assert places == sorted(places)
    assert "\x1b" not in done.out
    assert done.err == ""


def test_with_json_what_is_for_people_goes_to_stderr(tmp_path: Path) -> None:
    flags = ("--model", replay(tmp_path, "final_answer(1)"), "--imports", "nonesuch.part,pytest,subprocess,nonesuch")
    done = codeact("run", "x", "--json", *flags, home=tmp_path)
    assert len(done.lines) == 1
    warned, _, drawn = done.err.partition("\n")  # before the model is asked
    assert "'nonesuch' is not installed" in warned and "--with" in warned
    assert "final_answer(1)" in drawn and "warning" not in drawn


def test_what_is_piped_in_is_a_variable(tmp_path: Path) -> None:
    model = replay(tmp_path, "final_answer([type(stdin).__name__, len(stdin)])")
    words = ("run", "How long is it?", "--json", "--model", model)
    for given, expected in [(b"a\nb\n", ["str", 4]), (b"", ["str", 0]), (b"\xff\xfe", ["bytes", 2])]:
        (line,) = codeact(*words, home=tmp_path, stdin=given).lines
        assert line["output"] == expected
    (line,) = codeact(
        "run", "x", "--json", "--model", replay(tmp_path, "stdin"), "--max-steps", "1", home=tmp_path
    ).lines
    assert line["stop_reason"] == "max_steps"


def test_an_agent_of_ones_own_runs_in_place_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "near.py").write_text("def double(x: int) -> int:\n    return 2 * x\n")
    (tmp_path / "app.py").write_text(
        "from codeact import CodeAgent\nfrom near import double\n"
        f"agent = CodeAgent(model={replay(tmp_path, 'final_answer(double(x=21))')!r}, tools=[double])\n"
    )
    for words in (["app.py:agent", "Double it."], ["Double it.", "app.py:agent"]):
        done = codeact("run", *words, "--json", home=tmp_path)
        assert done.code == 0, done.err
        assert done.lines[0]["output"] == 42


def test_a_server_that_is_not_there_is_told_in_plain_words(tmp_path: Path) -> None:
    done = codeact("run", "x", "--json", "--model", "http://127.0.0.1:9/v1#none?retries=0", home=tmp_path)
    (line,) = done.lines
    assert (done.code, line["stop_reason"], line["error"]["type"]) == (1, "error", "ModelUnavailable")
    assert "127.0.0.1:9" in line["error"]["message"]
    assert "127.0.0.1:9" in done.err and "Traceback" not in done.err and "httpx" not in done.err


def test_ctrl_c_cancels_the_run_and_still_tells_it(tmp_path: Path) -> None:
    model = replay(tmp_path, "print('begun', flush=True)\nwhile True: pass")
    command = [CODEACT, "run", "x", "--json", "--model", model]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stderr:
            if b"> begun" in line:
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        told = json.loads(process.stdout.read())
        onward = f"To go on with it: codeact resume {told['run_id'][:12]}"
        assert f"{onward}\n" in process.stderr.read().decode()
    assert (told["stop_reason"], told["output"]) == ("cancelled", None)
    assert told["error"] == {"type": "NoAnswer", "message": f"The task was cancelled. {onward}"}


def test_hostile_output_cannot_draw_on_the_screen(tmp_path: Path) -> None:
    model = replay(tmp_path, r"print('\x1b]52;c;AAAA\x07 \x1b[2J \u202e \x9b1m')", "final_answer('\x1b[31mred')")
    done = codeact("run", "x", "--model", model, home=tmp_path)
    assert r"\x1b]52;c;AAAA\x07 \x1b[2J \u202e \x9b1m" in done.out
    assert not set("\x1b\x07\u202e\x9b") & set(done.out)


def test_files_go_in_by_a_flag_and_what_was_made_lies_where_the_line_says(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n")
    made = "open('outputs/copy.csv', 'w').write(open('inputs/rows.csv').read() * 2); final_answer(1)"
    words = ("run", "Copy.", "--model", replay(tmp_path, made), "--file", "rows.csv")
    (line,) = codeact(*words, "--json", home=tmp_path, TMPDIR=str(tmp_path)).lines
    (file,) = line["files"]
    assert (file["name"], file["type"], file["size"]) == ("copy.csv", "text/csv", 8)
    assert Path(file["path"]).read_text() == "a,b\n" * 2
    done = codeact(*words, "--out", "made/here", home=tmp_path)
    assert (tmp_path / "made" / "here" / "copy.csv").read_text() == "a,b\n" * 2
    assert "inputs/rows.csv: CSV text, 4 bytes" in done.out
    assert "(file copy.csv (CSV text, 8 bytes): made/here/copy.csv)" in done.out


def test_a_file_that_cannot_be_given_is_a_usage_error(tmp_path: Path) -> None:
    words = ("run", "Read.", "--model", replay(tmp_path, "final_answer(1)"))
    done = codeact(*words, "--file", "absent", home=tmp_path)
    assert (done.code, done.out) == (2, "") and "cannot read absent: No such file" in done.err
    (tmp_path / "taken").write_text("")
    done = codeact(*words, "--out", "taken", home=tmp_path)
    assert done.code == 2 and "nothing can be saved in taken" in done.err


def test_a_recorded_run_is_replayed_and_no_file_is_overwritten(tmp_path: Path) -> None:
    spec, kept = replay(tmp_path, "x = 20", "final_answer(x + 1)"), tmp_path / "kept.jsonl"
    first = codeact("run", "Count.", "--model", spec, "--json", "--record", str(kept), home=tmp_path)
    again = codeact("run", "Count.", "--model", f"replay:{kept}", "--json", home=tmp_path)
    assert [done.lines[0]["output"] for done in (first, again)] == [21, 21]
    refused = codeact("run", "Count.", "--model", spec, "--record", str(kept), home=tmp_path)
    assert refused.code == 2 and f"{kept} is there already" in refused.err


def test_a_model_may_act_in_plain_text(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text('def double(n: int) -> int:\n    """Twice as much."""\n    return 2 * n\n')
    replies = [{"text": "Thought: I double.\nAction: double, 21"}, {"text": "Answer: 42"}]
    (tmp_path / "replies.jsonl").write_text("".join(json.dumps(reply) + "\n" for reply in replies))
    line = ["run", "Double.", "--model", "replay:replies.jsonl", "--tools", "tools.py", "--action", "text", "--json"]
    done = subprocess.run([CODEACT, *line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"] == 42
    assert "double(n=21)" in done.stderr


def test_a_model_may_act_by_native_tool_calls(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text('def double(n: int) -> int:\n    """Twice as much."""\n    return 2 * n\n')
    replies = [
        {"text": "I double.", "tool_calls": [{"id": "a", "name": "double", "arguments": {"n": 21}}]},
        {"text": "", "tool_calls": [{"name": "final_answer", "arguments": {"value": 42}}]},
    ]
    (tmp_path / "replies.jsonl").write_text("".join(json.dumps(reply) + "\n" for reply in replies))
    line = ["run", "Double.", "--model", "replay:replies.jsonl", "--tools", "tools.py", "--action", "json", "--json"]
    done = subprocess.run([CODEACT, *line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"] == 42
    assert "double(n=21)" in done.stderr
    line = [*line[:-3], "--action", "jsno"]
    wrong = subprocess.run([CODEACT, *line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "no form of action 'jsno'" in wrong.stderr and "json" in wrong.stderr


def test_a_budget_ends_a_task_and_the_line_says_so_with_what_it_cost(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    reply = {"text": "```python\nx = 1\n```", "usage": {"input_tokens": 300, "output_tokens": 100}}
    file.write_text("".join(json.dumps(reply) + "\n" for _ in range(9)))
    done = codeact(
        "run",
        "Go.",
        "--model",
        f"replay:{file}",
        "--json",
        "--budget",
        "money=0.0041, steps=8",
        "--price",
        "1/10",
        home=tmp_path,
    )
    line = json.loads(done.out)
    assert done.code == 1 and line["stop_reason"] == "budget" and line["steps"] == 3
    assert abs(line["cost"] - 0.0039) < 1e-9 and "money" in line["error"]["message"]


def test_a_budget_that_is_none_is_told_with_the_nearest_word(tmp_path: Path) -> None:
    done = codeact("run", "Go.", "--model", "replay:none.jsonl", "--budget", "token=5", home=tmp_path)
    assert done.code == 2 and "did you mean 'tokens'" in done.err
