"""`codeact exec`, to the letter of its contract."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from .command import CODEACT, codeact, environment

KEYS = ["cell", "source", "ok", "value", "stdout", "stderr", "error", "ended", "final_answer", "kept", "seconds"]

# source -> what its line says, beside what every ok cell says
CELLS: list[tuple[str, dict[str, Any]]] = [
    ("x = 20", {}),
    ("x + 1", {"value": "21"}),
    ("None", {}),
    ("'it''s'", {"value": "'its'"}),
    ("print('a'); import sys; print('b', file=sys.stderr)", {"stdout": "a\n", "stderr": "b\n"}),
    ("1/0", {"error": "ZeroDivisionError"}),
    ("x ===", {"error": "SyntaxError"}),
    ("raise SystemExit(0)", {"error": "SystemExit"}),
    ("import sys; sys.exit('no')", {"error": "SystemExit"}),
    ("class R:\n    def __repr__(self): raise ValueError('no repr')\nR()", {"error": "ValueError"}),
    ("import subprocess", {"error": "ImportPolicyError"}),
    ("await __import__('asyncio').sleep(0, 7)", {"value": "7"}),
    ("print('\\x1b[31m\\u2028é')", {"stdout": "\x1b[31m\u2028é\n"}),
    ("x", {"value": "20"}),
]


def test_each_cell_has_a_line_with_exactly_what_came_of_it(tmp_path: Path) -> None:
    words = [word for source, _ in CELLS for word in ("-c", source)]
    done = codeact("exec", "--json", *words, home=tmp_path)
    assert done.out.isascii()
    assert len(done.lines) == len(CELLS)
    for number, (line, (source, expected)) in enumerate(zip(done.lines, CELLS, strict=True), 1):
        assert list(line)[: len(KEYS)] == KEYS
        assert type(line["seconds"]) is float
        plain = {"value": None, "stdout": "", "stderr": "", "ended": "done", "final_answer": None, "kept": True}
        ok = {"cell": number, "source": source, "ok": "error" not in expected, "error": None}
        said = {key: line[key] for key in KEYS[:-1]} | {"error": line["error"] and line["error"]["type"]}
        assert said == ok | plain | expected
    assert (done.code, done.err) == (1, "")


def test_a_picture_is_in_the_line_and_told_to_people(tmp_path: Path) -> None:
    draw = "import PIL.Image; PIL.Image.new('L', (30, 20))"
    (line,) = codeact("exec", "--json", "--imports", "PIL", "-c", draw, home=tmp_path).lines
    (image,) = line["images"]
    assert base64.b64decode(image).startswith(b"\x89PNG") and line["ok"]
    told = codeact("exec", "--imports", "PIL", "-c", draw, home=tmp_path)
    assert told.err == "picture 1 (30x20 PNG, 1 kB)\n"


def test_an_error_is_told_with_its_message_and_traceback(tmp_path: Path) -> None:
    done = codeact("exec", "--json", "-c", "def f():\n    return 1 / 0\nf()", home=tmp_path)
    (line,) = done.lines
    assert list(line["error"]) == ["type", "message", "traceback"]
    assert (line["error"]["type"], line["error"]["message"]) == ("ZeroDivisionError", "division by zero")
    assert 'File "<cell 1>", line 2, in f' in line["error"]["traceback"]


def test_a_long_value_is_cut_at_64_kib(tmp_path: Path) -> None:
    (line,) = codeact("exec", "--json", "-c", "'a' * 100_000", home=tmp_path).lines
    assert line["value"].startswith("'" + "a" * 60_000)
    assert len(line["value"]) <= 66_000


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("None", None),
        ("'Bergen'", "Bergen"),
        ("[1, 2.5, True, {'a': None}]", [1, 2.5, True, {"a": None}]),
        ("(float('nan'), 2**70, {1})", {"$tuple": [{"$float": "nan"}, {"$int": hex(2**70)}, {"$set": [1]}]}),
        ("'a' * 100_000", "a" * 100_000),
        ("{'$str': 0}", {"$dict": [["$str", 0]]}),
        ("b'a' * 90_000", {"$bytes": "YWFh" * 30_000}),
    ],
)  # fmt: skip
def test_a_final_answer_is_told_by_the_values_table(value: str, told: Any, tmp_path: Path) -> None:
    done = codeact("exec", "--json", "-c", f"final_answer({value})\nprint('never')", home=tmp_path)
    (line,) = done.lines
    assert (line["ended"], line["ok"], line["final_answer"], line["stdout"]) == ("final_answer", True, told, "")
    assert done.code == 0


def test_limits_stop_a_cell_and_the_next_one_runs(tmp_path: Path) -> None:
    cells = [
        "x = 1",
        "while True: pass",
        "x",
        "try:\n    while True: pass\nexcept BaseException: pass",
        "data = []\nwhile True: data.append(bytearray(300 << 20))",
        "import os; os._exit(3)",
        "x",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "2 + 2",
    ]
    words = [word for source in cells for word in ("-c", source)]
    done = codeact("exec", "--json", "--seconds", "0.5", "--memory", "256MiB", *words, home=tmp_path)
    told = [(line["ended"], line["error"] and line["error"]["type"], line["kept"]) for line in done.lines]
    assert told[0:4] == [
        ("done", None, True),
        ("timeout", "CellTimeout", True),
        ("done", None, True),
        ("timeout", "CellTimeout", True),
    ]
    assert told[4][:2] in (("memory", "CellMemory"), ("done", "MemoryError"))
    assert told[5] == ("exit", "SandboxDied", False)
    assert told[6] == ("done", "NameError", True)
    assert told[7] == ("signal", "SandboxDied", False) or told[7][1] == "PermissionError"
    assert done.lines[8]["value"] == "4"
    assert done.lines[2]["value"] == "1"
    assert done.code == 1


def test_output_is_whole_up_to_a_mebibyte_and_counted_beyond(tmp_path: Path) -> None:
    done = codeact(
        "exec", "--json", "-c", "print('a' * ((1 << 20) - 1))", "-c", "print('b' * (3 << 20))", home=tmp_path
    )
    whole, cut = (line["stdout"] for line in done.lines)
    assert whole == "a" * ((1 << 20) - 1) + "\n"
    head, counted, tail = cut.strip("\n").split("\n")
    assert (head, tail) == ("b" * (512 << 10), "b" * ((512 << 10) - 1))
    assert f"{(2 << 20) + 1:,}" in counted
    assert done.code == 0


def test_cells_come_from_files_and_standard_input_and_share_one_interpreter(tmp_path: Path) -> None:
    (tmp_path / "first.py").write_text("# -*- coding: latin-1 -*-\nname = 'J\xf8rgen'\n", encoding="latin-1")
    (tmp_path / "last.py").write_text("print(name, number)\n")
    done = codeact("exec", "first.py", "-", "last.py", home=tmp_path, stdin=b"number = 5\nnumber")
    assert (done.code, done.out, done.err) == (0, "5\nJørgen 5\n", "")
    assert codeact("exec", home=tmp_path, stdin=b"print(6 * 7)").out == "42\n"


def test_people_see_output_values_and_tracebacks(tmp_path: Path) -> None:
    done = codeact("exec", "-c", "print('out'); 'a' + 'b'", "-c", "1/0", "-c", "final_answer([1])", home=tmp_path)
    assert done.code == 1
    assert done.out == "out\n'ab'\n[1]\n"
    assert done.err.startswith("Traceback (most recent call last):\n") and done.err.endswith("division by zero\n")


def test_a_file_gets_every_byte_however_much_it_is(tmp_path: Path) -> None:
    source = "import sys\nsys.stdout.buffer.write(bytes([255]) + b'x' * (5 << 20))"
    command = [CODEACT, "exec", "-c", source + "\nNone"]
    done = subprocess.run(command, capture_output=True, env=environment(tmp_path), timeout=30, check=False)
    assert done.stdout == b"\xff" + b"x" * (5 << 20)


def test_output_comes_while_the_cell_runs(tmp_path: Path) -> None:
    source = "import time\nprint('soon', flush=True)\ntime.sleep(600)"
    with subprocess.Popen(
        [CODEACT, "exec", "-c", source], stdout=subprocess.PIPE, env=environment(tmp_path)
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"soon\n"
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_ctrl_c_ends_everything_with_130(tmp_path: Path) -> None:
    """Also the line of a cell that was over is there, and no process of ours is left."""
    command = [CODEACT, "exec", "--json", "-c", "1", "-c", "print('x', flush=True)\nwhile True: pass"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path), start_new_session=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert json.loads(process.stdout.readline())["value"] == "1"
        ours = _descendants(process.pid)
        assert ours
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everything in the foreground
        assert process.wait(30) == 130
        assert process.stdout.read() == b""
        assert b"Traceback" not in process.stderr.read()
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in ours):
        assert time.monotonic() < until, "something was left running"
        time.sleep(0.01)


def _descendants(pid: int) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it went away meanwhile
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found[1:]


def test_tools_of_a_file_answer_from_outside(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os\n\ndef weather(city: str, unit: str = 'C') -> dict:\n"
        '    """Current weather."""\n    return {"city": city, "unit": unit, "pid": os.getpid()}\n'
    )
    cells = ["weather('Oslo')['unit']", "weather(city=3)", "import os; weather('Oslo')['pid'] != os.getpid()"]
    words = [word for source in cells for word in ("-c", source)]
    done = codeact("exec", "--json", "--tools", "mine.py:weather", *words, home=tmp_path)
    first, second, third = done.lines
    assert first["value"] == "'C'"
    assert second["error"]["type"] == "TypeError" and "city" in second["error"]["message"]
    assert third["value"] == "True"


def test_the_import_policy_is_the_one_that_was_typed(tmp_path: Path) -> None:
    refused = codeact("exec", "-c", "import math; math.pi", "--imports", "none", home=tmp_path)
    assert refused.code == 1 and "--imports NAME allows" in refused.err
    done = codeact(
        "exec", "-c", "import math, json; math.tau > json.loads('6')", "--imports", "none,math,json", home=tmp_path
    )
    assert (done.code, done.out) == (0, "True\n")


@pytest.mark.parametrize("words", ["exec -c \"while True: print('y')\"", "demo"])
def test_a_reader_that_leaves_does_not_hurt(words: str, tmp_path: Path) -> None:
    command = f"{CODEACT} {words} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, env=environment(tmp_path), timeout=30, check=False)
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""


def test_what_a_tool_prints_on_the_host_is_not_mixed_into_the_lines(tmp_path: Path) -> None:
    tools = tmp_path / "noisy.py"
    tools.write_text(
        'import os\nprint("loading")\ndef f() -> int:\n    print("tool")\n    os.write(1, b"raw\\n")\n    return 1\n'
    )
    done = codeact("exec", "--json", "--tools", str(tools), "-c", "f()", home=tmp_path)
    assert [line["value"] for line in done.lines] == ["1"]
    assert [word in done.err for word in ("loading", "tool", "raw")] == [True] * 3


@pytest.mark.parametrize(
    "words", [["exec", "-c", "print(1)"], ["exec", "--json", "-c", "1"], ["exec", "-c", "1"], ["--help"]]
)
def test_a_full_disk_behind_standard_output_is_said_in_one_line(words: list[str], tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [CODEACT, *words], stdout=full, stderr=subprocess.PIPE, check=False, env=environment(tmp_path), timeout=60
        )
    assert (done.returncode, done.stderr) == (1, b"codeact: cannot go on: No space left on device\n")


def test_files_go_in_and_come_out_of_exec_without_a_word_in_its_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("six")
    code = "n = open('outputs/b.txt', 'w').write(open('inputs/a.txt').read())"
    done = codeact("exec", "--json", "--file", "a.txt", "--out", "made", "-c", code, "-c", "n", home=tmp_path)
    assert [line["value"] for line in done.lines] == [None, "3"]
    assert "files" not in done.lines[0]
    assert (tmp_path / "made" / "b.txt").read_text() == "six"
    assert done.err == "file b.txt (text, 3 bytes): made/b.txt\n"


def test_hosts_are_reached_that_are_named_and_no_others(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = "import socket\nsocket.create_connection(('{}', {})).close()"
        words = ["-c", connect.format("localhost", port), "-c", connect.format("example.org", 443)]
        for flags in (
            ["--network", f"localhost:{port},10.0.0.7"],
            ["--network", "10.0.0.7", "--network", f"localhost:{port}"],
        ):
            first, second = codeact("exec", "--json", *flags, *words, home=tmp_path).lines
            assert first["ok"] and first["level"].endswith("+network")
            assert "this run may reach" in second["error"]["message"] and second["error"]["type"] == "PermissionError"
    (line,) = codeact("exec", "--json", "--network", "", "-c", "1", home=tmp_path).lines
    assert "network" not in line["level"]
    done = codeact("exec", "--network", "https://example.org", "-c", "1", home=tmp_path)
    assert (done.code, done.out) == (2, "") and "write the host alone" in done.err


def test_a_folder_is_shown_by_a_flag_to_read_or_to_change(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("six")
    code = f"open('{tmp_path}/data/b.txt', 'w').write(open('{tmp_path}/data/a.txt').read())"
    closed = codeact("exec", "--json", "--mount", "data", "-c", code, home=tmp_path).lines[0]
    assert closed["error"]["type"] in ("OSError", "PermissionError") and closed["level"] in ("full", "plain")
    opened = codeact("exec", "--json", "--mount", f"{tmp_path}/data:rw", "-c", code, home=tmp_path).lines[0]
    assert (opened["value"], opened["level"].endswith("+writable")) == ("3", True)
    refused = codeact("exec", "--mount", ".", "-c", "1", home=tmp_path)
    assert refused.code == 2 and f"{tmp_path} holds the home folder" in refused.err
