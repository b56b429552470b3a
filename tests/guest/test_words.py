"""Errors are told in CPython's own words, with the lines of the cell: what plain `python file` writes to stderr."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_in import Guest

PROGRAMS = {
    "a thread": "import threading\ndef f(): [][1]\nt = threading.Thread(target=f, name='w')\nt.start()\nt.join()\n",
    "a thread that leaves": "import threading\nt = threading.Thread(target=exit)\nt.start()\nt.join()\n",
    "a finalizer": "class A:\n    def __del__(self):\n        raise ValueError('in del')\nA()\nx = 1\n",
    "return": "x = 1\nreturn x\n",
    "break": "for i in ():\n    pass\nbreak\n",
    "nonlocal": "def f():\n    nonlocal y\n",
    "global": "def f():\n    print(x)\n    global x\n",
    "twice": "def f(a, a): pass\n",
    "await": "def g(): await f()\n",
    "future": "x = 1\nfrom __future__ import annotations\n",
    "indent": "def f():\n    return 1\n  return 2\n",
    "a chain": "try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('wrapped') from e\n",
    "a group": "raise ExceptionGroup('g', [ValueError(1), TypeError('t')])\n",
    "columns": "def f(a): return a['x']['y']\nf({'x': {}})\n",
    "recursion": "def f(n): return f(n + 1)\nf(0)\n",
}


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    with Guest() as guest:
        yield guest


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_error_is_told_as_plain_python_tells_it(name: str, guest: Guest, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAMS[name])
    plain = subprocess.run([sys.executable, "-P", str(file)], check=False, capture_output=True, text=True)
    done = guest.run(PROGRAMS[name])
    told = guest.stderr + (done.error[2] if done.error else "")
    assert _placeless(told) == _placeless(plain.stderr)


def test_a_program_that_sets_its_own_hooks_is_obeyed_and_may_put_them_back(guest: Guest) -> None:
    guest.run("import sys, threading\nthreading.excepthook = lambda args: print('mine', args.exc_value)")
    guest.run("t = threading.Thread(target=lambda: [][1])\nt.start()\nt.join()")
    assert guest.stdout == "mine list index out of range\n" and guest.stderr == ""
    guest.run("threading.excepthook = threading.__excepthook__\nsys.unraisablehook = sys.__unraisablehook__")
    guest.run("t = threading.Thread(target=lambda: [][1], name='w')\nt.start()\nt.join()")
    assert guest.stderr.startswith("Exception in thread w:\nTraceback")


def test_a_limit_of_recursion_that_is_too_low_is_said_in_the_cells_own_numbers(guest: Guest) -> None:
    kind, message, _ = guest.error("import sys\nsys.setrecursionlimit(1)")
    assert kind == "RecursionError" and message.startswith("cannot set the recursion limit to 1 at ")


def test_the_module_has_what_a_script_has(guest: Guest, tmp_path: Path) -> None:
    shown = "print(sorted(name for name in globals() if name[:2] == '__'))\nimport sys; print(sys.stdout.mode)"
    file = tmp_path / "program.py"
    file.write_text(shown)
    with Guest() as fresh:
        fresh.run(shown)
        assert fresh.stdout == subprocess.check_output([sys.executable, "-P", str(file)], text=True)


STACKS = """
import inspect, logging, traceback
def f(n):
    if n:
        return f(n - 1)
    traceback.print_stack()
    return [one.function for one in inspect.stack()], len(traceback.extract_stack()), len(traceback.format_stack())
print(f(2))
logging.warning("%d", "not a number")
logging.warning("with", stack_info=True)
"""


def test_a_cell_is_the_bottom_of_the_stack_also_after_one_that_failed(guest: Guest, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(STACKS)
    plain = subprocess.run([sys.executable, "-P", str(file)], check=False, capture_output=True, text=True)
    guest.run("1/0")
    guest.run(STACKS)
    assert guest.stdout == plain.stdout
    assert _placeless(guest.stderr) == _placeless(plain.stderr)


def test_the_source_of_a_class_is_found_in_the_cell_that_made_it(guest: Guest) -> None:
    guest.run("class Early:\n    x = 1\n")
    guest.run("class Late:\n    y = 2\n")
    guest.run("import inspect\nprint(inspect.getsource(Early) + inspect.getsource(Late), end='')")
    assert guest.stdout == "class Early:\n    x = 1\nclass Late:\n    y = 2\n"


def test_an_error_that_a_cell_kept_shows_no_frame_of_ours_later(guest: Guest) -> None:
    guest.run("try:\n    1/0\nexcept Exception as error:\n    kept = error")
    guest.run("raise kept")
    guest.run("import traceback\nprint(''.join(traceback.format_exception(kept)))")
    assert "ZeroDivisionError" in guest.stdout and "guest" not in guest.stdout


def _placeless(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", re.sub(r'File "[^"]*"', "File", text)).strip()
