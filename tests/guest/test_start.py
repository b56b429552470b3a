"""How a guest starts: under any Python from 3.11 on, with the packages it is given, and leaving nothing running."""

from __future__ import annotations

import ast
import glob
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from stand_in import GUEST, Guest, tool, word

FOLDERS = ("/usr/bin", "/usr/local/bin", str(Path.home() / ".pyenv/versions/3.*/bin"), "/opt/python3.*/bin")
PYTHONS = [sys.executable, *sorted(path for folder in FOLDERS for path in glob.glob(f"{folder}/python3.1[1-9]"))]

EVERYTHING = """
import asyncio, sys, random, uuid
class A: pass
async def f(): return await asyncio.gather(echo.aio(1), asyncio.to_thread(echo, 2))
def g():
    try: 1 / 0
    except ZeroDivisionError as e: return e.__traceback__.tb_lineno
[echo(value=[A.__module__]), asyncio.run(f()), g(), sys.getrecursionlimit(), await f()]
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_here_runs_the_guest(python: str) -> None:
    with Guest([tool("echo", "(value: list[int])", word())], {"echo": lambda value: value}, python=python) as guest:
        assert guest.ready.python >= "3.11"
        assert guest.value(EVERYTHING.replace(", await f()", "")) == "[['__main__'], [1, 2], 6, 1000]"
        assert guest.value("await f()") == "[1, 2]"
        assert "help(thing)" in (guest.run("help()"), guest.stdout)[1]
        kind, _, text = guest.error("def h():\n    return {}['k']\nh()")
        assert kind == "KeyError" and text.splitlines()[-1] == "KeyError: 'k'" and "return {}['k']" in text
        assert guest.run("final_answer(1)").ended == "final_answer"
        guest.start("while True: pass")
        guest.interrupt()
        assert guest.finish().ended == "interrupted"


def test_site_folders_and_the_path_lines_of_their_pth_files_can_be_imported(tmp_path: Path) -> None:
    site, extra = tmp_path / "site", tmp_path / "extra"
    for folder, name in ((site, "mine_in_site"), (extra, "mine_in_extra")):
        folder.mkdir()
        (folder / f"{name}.py").write_text(f"where = {folder.name!r}\n")
    (site / "x.pth").write_text(
        f"# a comment\n\n{extra}\nno/such/folder\nimport os; open({str(tmp_path / 'ran')!r}, 'w')\n"
    )
    source = (
        f"import sys; sys.path.insert(0, {str(GUEST.parent)!r})\n"
        "import guest.__main__ as main\n"
        f"main.prepare([{str(site)!r}, {str(tmp_path / 'absent')!r}])\n"
        "import mine_in_site, mine_in_extra, json, threading\n"
        "told = [mine_in_site.where, mine_in_extra.where]\n"
        "told += ['random' in sys.modules, threading.active_count(), str(exit)]\n"
        "print(json.dumps(told))"
    )
    told = subprocess.run([sys.executable, "-s", "-P", "-S", "-c", source], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout) == ["site", "extra", False, 1, "Use exit() to end this cell"]
    assert not (tmp_path / "ran").exists()


def test_the_guest_is_of_the_standard_library_alone() -> None:
    source = (
        f"import sys; sys.path.insert(0, {str(GUEST.parent)!r})\nimport guest.__main__\nprint(*sorted(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-I", "-S", "-c", source], capture_output=True, text=True, check=True)
    foreign = (
        {name.partition(".")[0] for name in loaded.stdout.split()} - sys.stdlib_module_names - {"guest", "__main__"}
    )
    assert foreign == set()


def test_what_the_guest_is_made_of_is_not_in_the_way_of_cells() -> None:
    with Guest() as guest:
        for name in ("values", "wire", "display", "cell", "channel", "stubs"):
            assert guest.error(f"import {name}")[0] == "ModuleNotFoundError"
        guest.run("import threading\nprint(threading.active_count(), sorted(n for n in globals() if n[:2] != '__'))")
        assert guest.stdout == "1 ['threading']\n"


TRACES = """
import gc, linecache, os, sys, threading
modules = [m for m in gc.get_objects() if type(m) is type(sys) and m.__name__ == "__main__"]
[
    [name for name in globals() if name[:2] != "__"],
    [name for name in linecache.cache if name.startswith("<cell")],
    len(modules), sys.modules["__main__"] is modules[0], os.listdir(), __file__, threading.active_count(),
]
"""


def test_a_session_has_rehearsed_before_its_first_cell_and_no_trace_of_that_is_left() -> None:
    with Guest() as guest:
        names = ["gc", "linecache", "os", "sys", "threading", "modules"]
        assert ast.literal_eval(guest.value(TRACES)) == [names, ["<cell 1>"], 1, True, ["outputs"], "<cell 1>", 1]
        assert (guest.stdout, guest.stderr) == ("", "")
        assert guest.error("_")[0] == "NameError"


def test_a_guest_whose_rehearsal_fails_ends_and_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "guest"
    shutil.copytree(GUEST, broken)
    with open(broken / "display.py", "a") as file:
        file.write("\n\ndef show(value):\n    raise LookupError('nothing can be shown')\n")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-s", "-P", "-S", str(broken), str(theirs.fileno())]
        ended = subprocess.run(
            command, pass_fds=[theirs.fileno()], capture_output=True, text=True, timeout=30, check=False
        )
    assert ended.returncode != 0
    assert "the rehearsal of a cell failed" in ended.stderr and "nothing can be shown" in ended.stderr
