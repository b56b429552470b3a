"""`codeact eval`: it counts, goes on where it stopped, and tells a task that went wrong from a model that is down."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from cli.command import CODEACT, Done, codeact, environment
from models.server import Hold, Server, error, says, serving, status

ANSWER = "```python\nfinal_answer(2)\n```"


def model(server: Server, more: str = "?retries=0") -> str:
    return f"{server.url}#m{more}"


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    lines = [{"task": f"What is 1 + {number}?", "answer": 1 + number} for number in range(4)]
    lines[0] |= {"name": "nothing", "domain": "easy"}
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    return path


def evaluate(*words: str, home: Path) -> Done:
    return codeact("eval", *words, home=home)


# -- what is counted ---------------------------------------------------------------------------------------------------


def test_a_set_of_ones_own_is_counted_with_what_is_known(own: Path, tmp_path: Path) -> None:
    with serving(*[says("```python\n2\n```"), says(ANSWER)] * 4) as server:
        done = evaluate("sums.jsonl", "--model", model(server), "--json", home=tmp_path)
    assert done.code == 0, done.err
    (line,) = done.lines
    counted = line["results"]["code"]
    assert (line["set"], line["variant"], line["complete"], line["error"]) == ("sums", None, True, None)
    assert (counted["tasks"], counted["solved"], counted["success"], counted["turns"]) == (4, 1, 0.25, 2)
    assert (counted["input_tokens"], counted["output_tokens"]) == (22, 2)
    assert set(counted["domains"]) == {"easy", "all"}
    kept = results(Path(line["file"]))
    assert [(one["task"], one["solved"], one["answer"]) for one in kept] == [
        ("nothing", False, "2"),
        ("2", True, "2"),
        ("3", False, "2"),
        ("4", False, "2"),
    ]
    asked = server.questions[0]["messages"]
    assert "You solve tasks by writing Python" in asked[0]["content"], "the system prompt is that of `codeact run`"
    assert asked[1]["content"] == "What is 1 + 0?"
    written = sum(len(text.encode()) for text in ("```python\n2\n```", ANSWER))
    assert kept[0]["output_bytes"] == written
    assert kept[0]["input_bytes"] > 2 * len(asked[0]["content"])


def test_the_table_has_a_dash_for_what_nobody_knows(tmp_path: Path) -> None:
    done = evaluate("m3tooleval", "--model", "oracle", "--action", "json", "--limit", "5", home=tmp_path)
    assert done.code == 0
    assert done.out.splitlines()[0].strip() == "m3tooleval, fixed, oracle"
    (row,) = [line.split() for line in done.out.splitlines() if line.strip().startswith("all")]
    assert row[:7] == ["all", "json", "5/5", "100.0", row[4], "–", "–"]
    domains = ("message_decoder", "cryptobotanists", "trade_calculator", "travel_itinerary_planning", "web_browsing")
    assert all(domain in done.out for domain in domains), "a limit takes of each domain in turn"
    assert "5/5  json  solved" in done.err


def test_tools_are_for_a_set_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text('def weather(city: str) -> int:\n    """Degrees."""\n    return 3\n')
    (tmp_path / "cold.jsonl").write_text('{"task": "How cold is it in Oslo?", "answer": 3}\n')
    with serving(says('```python\nfinal_answer(weather("Oslo"))\n```')) as server:
        done = evaluate("cold.jsonl", "--model", model(server), "--tools", "tools.py", "--json", home=tmp_path)
    assert done.lines[0]["results"]["code"]["solved"] == 1, done.err


def test_tasks_run_side_by_side_with_one_model(own: Path, tmp_path: Path) -> None:
    """Two are asked before either is answered."""
    with serving([Hold()], [Hold()]) as server:
        words = ("sums.jsonl", "--model", model(server), "--action", "json", "--jobs", "2", "--limit", "2", "--json")
        done = evaluate(*words, "--seconds", "3", home=tmp_path)
        assert len(server.questions) == 2
    assert done.code == 0, done.err
    (line,) = done.lines
    counted = line["results"]["json"]
    assert (counted["tasks"], counted["solved"], counted["input_tokens"]) == (2, 0, None)
    assert {(one["stop_reason"], one["error"]) for one in results(Path(line["file"]))} == {
        ("seconds", "not done after 3 s")
    }


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_what_goes_wrong_in_a_task_does_not_end_the_evaluation(own: Path, tmp_path: Path) -> None:
    prose = [says("I would rather not.")] * 3
    broken = [status(400, error("maximum context length is 8192 tokens", code="context_length_exceeded"))]
    gone = [says("```python\nimport os; os._exit(1)\n```"), says(ANSWER)]
    with serving(*gone, *prose, *broken, says(ANSWER)) as server:
        done = evaluate("sums.jsonl", "--model", model(server), "--json", home=tmp_path)
    assert done.code == 0, done.err
    (line,) = done.lines
    kept = results(Path(line["file"]))
    assert [one["stop_reason"] for one in kept] == ["final_answer", "stalled", "error", "final_answer"]
    assert "ContextOverflow" in kept[2]["error"]
    assert line["complete"]


def test_a_model_that_is_down_is_told_at_once(own: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = evaluate("sums.jsonl", "--model", f"http://127.0.0.1:{port}/v1#m?retries=0", "--json", home=tmp_path)
    assert done.code == 1
    assert done.err.count("the model cannot be asked") == 1 and f"127.0.0.1:{port}" in done.err
    (line,) = done.lines
    assert (line["error"]["type"], line["complete"], line["results"]) == ("ModelDown", False, {})


def test_a_wrong_key_is_told_at_once(own: Path, tmp_path: Path) -> None:
    with serving(*[status(401, error("Incorrect API key provided"))] * 4) as server:
        done = evaluate("sums.jsonl", "--model", model(server), "--jobs", "2", home=tmp_path)
    assert done.code == 1
    assert "wants a key (401)" in done.err
    assert len(server.questions) <= 2


def test_a_model_that_goes_down_ends_it_and_those_tasks_are_given_again(own: Path, tmp_path: Path) -> None:
    down = [status(503, error("overloaded"))] * 3
    with serving(says(ANSWER), *down, *[says(ANSWER)] * 3) as server:
        words = ("sums.jsonl", "--model", model(server), "--json")
        first = evaluate(*words, home=tmp_path)
        again = evaluate(*words, home=tmp_path)
    assert first.code == 1 and first.lines[0]["results"]["code"]["tasks"] == 1
    assert again.code == 0 and again.lines[0]["results"]["code"]["tasks"] == 4, again.err
    asked = [question["messages"][1]["content"] for question in server.questions]
    assert asked == [f"What is 1 + {number}?" for number in (0, 1, 2, 3, 1, 2, 3)]


def test_a_task_that_the_server_refuses_is_a_task_that_failed(own: Path, tmp_path: Path) -> None:
    refused = status(400, error("this content is not allowed"))
    with serving(says(ANSWER), refused, says(ANSWER), says(ANSWER)) as server:
        done = evaluate("sums.jsonl", "--model", model(server), "--json", home=tmp_path)
    assert done.code == 0, done.err
    (line,) = done.lines
    assert line["complete"] and line["results"]["code"]["tasks"] == 4
    (failed,) = [one for one in results(Path(line["file"])) if one["answered"] and one["stop_reason"] == "error"]
    assert failed["task"] == "2" and "this content is not allowed" in failed["error"]


# -- stopped, and taken up again ---------------------------------------------------------------------------------------


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(own: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    with serving(says(ANSWER), says(ANSWER), [Hold()], says(ANSWER), says(ANSWER)) as server:
        words = ("eval", "sums.jsonl", "--model", model(server), "--out", str(kept), "--json")
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen([CODEACT, *words], cwd=tmp_path, env=environment(tmp_path), **pipes)
        until = time.monotonic() + 50
        while len(server.questions) < 3 and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=50)
        assert process.returncode == 130, err
        assert b"the same command goes on" in err
        assert json.loads(out)["results"]["code"]["tasks"] == 2
        assert [one["task"] for one in results(kept)] == ["nothing", "2"]
        again = codeact(*words, home=tmp_path)
    assert again.code == 0, again.err
    assert "3/4" in again.err and "2/4" not in again.err
    (line,) = again.lines
    assert line["complete"] and line["results"]["code"]["tasks"] == 4
    assert len(server.questions) == 5
    third = codeact(*words, home=tmp_path)
    assert "all 4 were done before" in third.err and third.lines[0]["results"] == line["results"]


def test_a_line_that_was_cut_off_is_done_again(own: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    with serving(*[says(ANSWER)] * 5) as server:
        words = ("sums.jsonl", "--model", model(server), "--out", str(kept), "--json")
        evaluate(*words, home=tmp_path)
        kept.write_bytes(kept.read_bytes()[:-20])
        again = evaluate(*words, home=tmp_path)
    assert again.lines[0]["results"]["code"]["tasks"] == 4, again.err
    assert len(server.questions) == 5


def test_forms_of_action_of_one_model_stand_in_one_table(tmp_path: Path) -> None:
    words = ("m3tooleval", "--model", "oracle", "--domain", "message", "--limit", "2", "--json")
    first = evaluate(*words, "--action", "code", home=tmp_path)
    then = evaluate(*words, "--action", "json", home=tmp_path)
    assert list(first.lines[0]["results"]) == ["code"]
    assert list(then.lines[0]["results"]) == ["code", "json"]
    assert "Beside code, json took" in then.err
    fresh = evaluate(*words, "--action", "json", "--fresh", home=tmp_path)
    assert list(fresh.lines[0]["results"]) == ["json"]


def test_a_file_of_something_else_is_refused_and_left_alone(own: Path, tmp_path: Path) -> None:
    words = ("m3tooleval", "--model", "oracle", "--action", "json", "--limit", "1", "--out", "kept.jsonl")
    assert evaluate(*words, home=tmp_path).code == 0
    before = (tmp_path / "kept.jsonl").read_bytes()
    other = evaluate(*words, "--max-steps", "5", home=tmp_path)
    assert other.code == 2 and "its max_steps is 20, not 5" in other.err
    strange = evaluate(*words[:-1], "sums.jsonl", "--fresh", home=tmp_path)
    assert strange.code == 2 and "holds no results of an evaluation" in strange.err
    assert (tmp_path / "kept.jsonl").read_bytes() == before
    assert own.read_text().startswith('{"task"')


# -- what is typed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name one set of tasks"),
        (["m3toolevl"], "did you mean 'm3tooleval'?"),
        (["m3tooleval", "--model", "oracle", "--domain", "t"], "no domain 't'"),
        (["m3tooleval", "--model", "oracle", "--action", "jsn"], "did you mean 'json'?"),
        (["m3tooleval", "--model", "oracle", "--variant", "fix"], "fixed"),
        (["m3tooleval", "--model", "oracle", "--job", "2"], "did you mean '--jobs'?"),
        (["m3tooleval", "--model", "oracle", "--jobs", "0"], "not a whole number"),
        (["m3tooleval", "--model", "oracle", "--picture", "a.png"], "name it FILE.svg"),
        (["m3tooleval", "--model", "oracle", "--tools", "fetch"], "has tools of its own"),
        (["m3tooleval"], "codeact eval m3tooleval --model"),
        (["sums.jsonl", "--model", "oracle"], "knows m3tooleval alone"),
        (["sums.jsonl", "--model", "oracle", "--variant", "fixed"], "goes with m3tooleval"),
        (["absent.jsonl", "--model", "openai:m"], "absent.jsonl cannot be read"),
        (["empty.jsonl", "--model", "openai:m"], "holds no task"),
        (["wrong.jsonl", "--model", "openai:m"], "line 2: no key 'anser'; did you mean 'answer'?"),
    ],
)  # fmt: skip
def test_what_is_typed_wrongly_is_told_with_the_nearest(own: Path, words: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "wrong.jsonl").write_text('{"task": "a", "answer": 1}\n{"task": "b", "anser": 1}\n')
    done = codeact("eval", *words, home=tmp_path, OPENAI_API_KEY="sk-of-a-test")
    assert done.code == 2, done
    assert said in done.err and "Traceback" not in done.err
