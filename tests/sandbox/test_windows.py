"""A Windows host, as far as another machine can be one: Python lacks what it lacks there, and refuses what it refuses.

`windows/sitecustomize.py` says what that is. It is no Windows: what its kernel and its console do is not tried here.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from fetched import data_home

from codeact.sandboxes.wasm.pinned import DENO, PYODIDE, PYODIDE_FILES

pytestmark = [
    pytest.mark.timeout(400),  # the first one fetches
    pytest.mark.skipif(sys.platform != "linux", reason="the emulation is written for Linux"),
]
EMULATION = Path(__file__).parent / "windows"
CODEACT = Path(sys.executable).parent / "codeact"
TOOLS = '''
import os, time
from codeact import tool

@tool(idempotent=True)
def slow() -> int:
    """Takes long, the first time."""
    if os.path.exists("begun"):
        return 42
    open("begun", "w", encoding="ascii").close()
    print("it has begun", flush=True)
    time.sleep(100)
    return 0
'''


class Machine:
    """What runs on it sees the same folders, and a console that is a file."""

    def __init__(self, home: Path) -> None:
        self.home = home
        local = home / "Local Settings é"
        self.wasm = local / "codeact" / "wasm" / f"{DENO}-{PYODIDE}"
        self.locks = local / "codeact" / "journal.db-locks"
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "CODEACT_"))},
            "PYTHONPATH": str(EMULATION),
            "PYTHONWARNDEFAULTENCODING": "1",
            "PYTHONIOENCODING": "cp1252",
            "EMULATED_CONSOLE": str(home / "console"),
            "LOCALAPPDATA": str(local),
            "APPDATA": str(local),
            "HOME": str(home),
        }
        (home / "console").touch()
        (home / "tools.py").write_text(TOOLS)
        self.replies()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A program that runs there."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(words, cwd=self.home, env=self.environ, encoding="cp1252", **pipes)

    def run(self, *words: str) -> tuple[int, str, str]:
        """How it ended, and what it said."""
        with self.start(*words) as program:
            out, err = program.communicate(timeout=60)
        return program.returncode, out, err

    def replies(self, *cells: str) -> str:
        """A model that answers with these."""
        lines = [json.dumps({"text": f"```python\n{cell}\n```"}) for cell in cells]
        (self.home / "replies.jsonl").write_text("\n".join(lines))
        return "replay:replies.jsonl"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    made = Machine(tmp_path_factory.mktemp("windows"))
    fetched = data_home() / "codeact" / "wasm" / f"{DENO}-{PYODIDE}"
    (made.wasm / "pyodide").mkdir(parents=True)
    (made.wasm / "deno.exe").symlink_to(fetched / "deno")
    for file in (*(fetched / "pyodide" / name for name in PYODIDE_FILES), *fetched.glob("guest-*.memory")):
        (made.wasm / file.relative_to(fetched)).symlink_to(file)
    return made


STORY = r"""
import asyncio, io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
import codeact, sitecustomize
from codeact import CodeAgent
from codeact.faces.cli import main
from codeact.files import MadeFile
from codeact.journals.sqlite import SqliteStore
from codeact.testing import ScriptedModel, check_store
from codeact.tools.toolbox import ask_user, read_file

def double(n: int) -> int:
    "Twice the number."
    return 2 * n

def cell(code): return f"```python\n{code}\n```"

def outcomes(result): return [event.outcome for event in result.events if hasattr(event, "outcome")]

def command(*words):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(words)
    return [status, out.getvalue(), err.getvalue()]

os.mkdir("given")
open("given/note.txt", "w", encoding="utf-8").write("smørrebrød")
open("secret", "w", encoding="utf-8").write("canary")
os.symlink("..", "given/link")
os.symlink("../secret", "given/other")
sitecustomize.KEYS.extend("Bo\b\x00Hx\bjørn\r")
reads = ["note.txt", "link/secret", "other", "C:/secret", "note.txt:x", "con", ".", "link", "note.txt/x"]
model = ScriptedModel(
    cell("import os\nfor name in ('con.txt', 'a:b.txt', 'plain.txt', 'deep/aux/x'):\n"
         "    os.makedirs(os.path.dirname('outputs/' + name), exist_ok=True)\n"
         "    open('outputs/' + name, 'w').write(name)\n"
         "print([double(n) for n in range(3)], ask_user('Who?'))"),
    cell(f"told = []\nfor path in {reads}:\n    try: told.append(read_file(path))\n"
         "    except Exception as error: told.append(type(error).__name__)\nfinal_answer(told)"),
    cell("import os; os._exit(3)"),
    cell("while True: pass"),
    cell("final_answer('still there')"),
)
agent = CodeAgent(model=model, tools=[double, ask_user(), read_file("given")], imports=["os"], seconds=0.5)
with agent.session() as session:
    first = session.run("Begin.")
    second = session.run("Go on.")
saved = [file.save("out").relative_to("out").as_posix() for file in (*first.files, *first.files)]
os.symlink("..", "out/deeper")
try:
    MadeFile("deeper/x", b"").save("out")
except OSError as error:
    saved.append(type(error).__name__)
asyncio.run(check_store(SqliteStore("runs.db")))
print(json.dumps({
    "printed": outcomes(first)[0].stdout,
    "reads": first.output,
    "second": second.output,
    "ended": [outcome.ended for outcome in outcomes(second)],
    "saved": saved,
    "runs": command("runs"),
    "show": command("show", "last"),
    "fetch": command("fetch", "wasm"),
    "packages": command("run", "x", "--model", "replay:replies.jsonl", "--with", "numpy"),
    "unconfined": command("exec", "--sandbox", "unconfined", "-c", "1"),
    "linux": command("exec", "--sandbox", "linux", "-c", "1"),
    "token": command("serve", "--token-file", "/tokens", "--model", "openai:x"),
}))
"""


def test_an_agent_and_the_commands_need_nothing_of_unix(machine: Machine) -> None:
    """Tools, questions at the console, cells that are killed and stopped, files, the journal; what is refused."""
    status, out, err = machine.run(sys.executable, "-c", STORY)
    assert status == 0, err
    told = json.loads(out.splitlines()[-1])
    assert told["printed"] == "[0, 2, 4] Bjørn\n"
    assert told["ended"] == ["exit", "timeout", "final_answer"]
    assert told["second"] == "still there"
    # no link, no drive, no stream, no device is read through
    link, absent = "PermissionError", "FileNotFoundError"
    others = ["IsADirectoryError", link, "NotADirectoryError"]
    assert told["reads"] == ["smørrebrød", link, link, absent, absent, absent, *others]
    made = ["a_b.txt", "_con.txt", "deep/_aux/x", "plain.txt"]
    assert told["saved"] == [*made, "a_b-2.txt", "_con-2.txt", "deep/_aux/x-2", "plain-2.txt", "OSError"]
    assert "Begin." in told["runs"][1] and "still there" in told["show"][1] and told["show"][0] == 0
    assert told["fetch"][:2] == [0, f"{machine.wasm}\n"]
    for command, code, words in (
        ("packages", 2, "no sandbox of this platform has a Python"),
        ("unconfined", 3, "not written for a process of Windows"),
        ("linux", 3, "this is win32, not Linux"),
        ("token", 2, "others may be able to read it"),
    ):
        assert (told[command][0], words in told[command][2]) == (code, True), told[command]


def test_ctrl_c_ends_a_run_that_one_process_has_and_another_goes_on_with(machine: Machine) -> None:
    model = machine.replies("print('so far')\nx = slow()", "final_answer(x)")
    line = ("run", "Wait.", "--model", model, "--tools", "tools.py")
    with machine.start(str(CODEACT), *line) as program:
        assert program.stdout is not None and program.stderr is not None
        assert any("it has begun" in line for line in program.stdout), program.stderr.read()
        status, _, err = machine.run(str(CODEACT), "resume", "last")
        assert (status, f"is in use by process {program.pid}" in err) == (1, True), err
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=60)
    assert program.returncode == 130 and "cancelled" in out and "codeact resume" in err, (out, err)
    status, out, err = machine.run(str(CODEACT), "resume", "last", "--json")
    assert status == 0, err
    assert json.loads(out)["output"] == 42
    assert [file.name for file in machine.locks.iterdir()] == ["making"]


def test_a_server_serves_until_it_is_told_to_end(machine: Machine) -> None:
    line = ("serve", "--port", "0", "--model", machine.replies("final_answer(1)"), "--token-file", "token")
    with machine.start(str(CODEACT), *line) as program:
        assert program.stderr is not None
        (link,) = itertools.islice((line.strip() for line in program.stderr if "http://" in line), 1)
        assert link.endswith("as it stands in token")
        with urllib.request.urlopen(link.partition("#")[0], timeout=10) as page:
            assert b"<!doctype html>" in page.read()
        program.send_signal(21)  # SIGBREAK, by its number
        _, err = program.communicate(timeout=60)
    assert program.returncode == 130 and "stopping" in err
