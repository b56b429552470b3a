"""What a cell may import, and what it is told when it may not."""

from __future__ import annotations

import ast

import pytest
from stand_in import Guest

from codeact.guest.imports import ImportPolicyError, Imports

BASE = Imports(["numpy", "os.path"], True, False)
ONLY = Imports(["math", "json", "xml.etree"], False, False)
NONE = Imports([], False, False)
ALL = Imports([], True, True)


@pytest.mark.parametrize(
    ("policy", "allowed", "refused"),
    [
        (
            BASE,
            "math os asyncio numpy numpy.random os.path http urllib.parse concurrent.futures __future__ _json",
            "pandas",
        ),
        (
            BASE,
            "xml.etree.ElementTree unittest.mock",
            "subprocess socket ctypes multiprocessing multiprocessing.pool _socket",
        ),
        (BASE, "", "http.client urllib.request xmlrpc.client requests numpyy pandas.core tkinter pdb"),
        (ONLY, "math json json.decoder xml.etree xml.etree.ElementTree __future__ __main__", "os re xml numpy mathx"),
        (NONE, "__future__", "math os builtins"),
        (ALL, "subprocess requests anything.at.all", ""),
        (Imports(["subprocess"], True, False), "subprocess os", "socket"),
        (Imports(["http.client"], True, False), "http.client", "http.server"),
    ],
)
def test_a_policy_allows_by_name(policy: Imports, allowed: str, refused: str) -> None:
    assert [name for name in allowed.split() if not policy.allows(name)] == []
    assert [name for name in refused.split() if policy.allows(name)] == []


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("import subprocess", ["subprocess"]),
        ("import os, socket as s, math, ctypes.util", ["socket", "ctypes.util"]),
        ("from urllib import parse, request", ["urllib.request"]),
        ("from urllib import parse", []),
        ("from concurrent.futures import ThreadPoolExecutor", []),
        (
            "from concurrent.futures import ThreadPoolExecutor, ProcessPoolExecutor",
            ["concurrent.futures.ProcessPoolExecutor"],
        ),
        ("def f():\n    class A:\n        import pandas as pd", ["pandas"]),
        ("try:\n    import requests\nexcept ImportError:\n    requests = None", []),
        ("try:\n    import requests\nexcept (ValueError, ModuleNotFoundError):\n    pass", []),
        ("try:\n    import requests\nexcept Exception:\n    import pandas", ["pandas"]),
        ("try:\n    import requests\nexcept:\n    pass", []),
        ("try:\n    import requests\nexcept ValueError:\n    pass", ["requests"]),
        ("try:\n    import requests\nfinally:\n    pass", ["requests"]),
        ("import contextlib\nwith contextlib.suppress(ImportError):\n    import requests", []),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import requests", []),
        ("import not_yet_written_by_anyone", []),
        ("from . import sibling", []),
        ("x = 'import subprocess'", []),
        ("import numpy.linalg, os.path", []),
    ],
)
def test_a_cell_is_checked_before_it_runs(source: str, refused: list[str]) -> None:
    assert [words.partition(" ")[0] for words in BASE.check(ast.parse(source))] == refused


@pytest.mark.parametrize(
    ("policy", "module", "words"),
    [
        (BASE, "subprocess", "no other process can be started in here: use Python itself"),
        (BASE, "multiprocessing.pool", "use threading, concurrent.futures.ThreadPoolExecutor or asyncio"),
        (BASE, "requests", "there is no network in here: call one of the tools"),
        (BASE, "http.client", "there is no network"),
        (BASE, "yaml", "use json"),
        (BASE, "pandas", "allowed is the standard library and numpy, os.path"),
        (ONLY, "_json", "allowed is json, math, xml.etree; did you mean 'json'?"),
        (NONE, "math", "allowed is nothing"),
    ],
)
def test_a_refusal_names_the_module_and_a_way_round(policy: Imports, module: str, words: str) -> None:
    refusal = policy.refusal(module)
    assert refusal is not None and refusal.startswith(f"{module} cannot be imported here") and words in refusal


def test_an_import_policy_error_is_what_code_expects_of_an_absent_module() -> None:
    assert issubclass(ImportPolicyError, ModuleNotFoundError)


def test_nothing_runs_of_a_cell_whose_import_is_refused() -> None:
    with Guest() as guest:
        kind, message, text = guest.error("print('ran')\nimport subprocess, pandas")
        assert kind == "ImportPolicyError" and guest.stdout == ""
        assert message.splitlines()[1].startswith("pandas cannot be imported here")
        assert text.startswith("ImportPolicyError: subprocess cannot be imported here")


@pytest.mark.parametrize(
    "source",
    [
        "__import__('sub' + 'process')",
        "import importlib; importlib.import_module('sub' + 'process')",
        "exec('import sub' 'process')",
        "exec('import subprocess', {})",
        "def f():\n    try: import subprocess\n    except ZeroDivisionError: pass\n    except ImportError: raise\nf()",
    ],
)
def test_imports_that_only_show_at_run_time_are_refused_then(source: str) -> None:
    with Guest() as guest:
        kind, _, text = guest.error(source)
        assert kind == "ImportPolicyError"
        assert "codeact" not in text and "imports.py" not in text


def test_code_that_is_ready_for_an_absent_module_goes_on() -> None:
    with Guest() as guest:
        fallback = "try:\n    import orjson as json\nexcept {}:\n    import json\njson.dumps(1)"
        for caught in ("ImportError", "ModuleNotFoundError", "Exception", "ImportPolicyError"):
            assert guest.value(fallback.format(caught)) == "'1'"


def test_a_module_that_is_not_there_is_pythons_own_error_with_a_hint() -> None:
    with Guest(names=["numpy"]) as guest:
        assert guest.error("import no_such_thing")[:2] == ["ModuleNotFoundError", "No module named 'no_such_thing'"]
        text = guest.error("import nmpy")[2]
        assert text.splitlines()[-2:] == ["ModuleNotFoundError: No module named 'nmpy'", "did you mean 'numpy'?"]
    with Guest(names=["no_such_thing"]) as guest:  # allowed, but not installed: it is not its own nearest
        assert "did you mean" not in guest.error("import no_such_thing")[2]


def test_what_is_allowed_may_import_what_it_needs() -> None:
    with Guest(names=["numpy"]) as guest:
        assert guest.value("import asyncio, unittest.mock, doctest, logging.handlers\n1") == "1"
        assert guest.value("import numpy as np\nint(np.arange(3).sum())") == "3"
        assert guest.error("import pandas")[0] == "ImportPolicyError"
        # so may code that a library makes and runs, as jinja2 does with templates
        guest.run(
            "open('made.py', 'w').write('def run(): exec(\"import ctypes\", {})')\nimport sys; sys.path[:0] = ['.']"
        )
        assert guest.value("import made\nmade.run()\n1") == "1"


def test_a_policy_of_few_names_lets_c_code_import_in_their_name() -> None:
    with Guest(names=["datetime", "pickle", "decimal"], base=False) as guest:
        assert guest.value("from datetime import datetime\ndatetime.strptime('2024', '%Y').year") == "2024"
        assert guest.value("import pickle, decimal\npickle.loads(pickle.dumps(decimal.Decimal(1)))") == "Decimal('1')"
        assert guest.error("import re")[0] == "ImportPolicyError"


def test_everything_may_be_imported_when_all_is_allowed() -> None:
    with Guest(everything=True) as guest:
        assert guest.value("import subprocess, ctypes, socket\n1") == "1"
        assert guest.error("import no_such_thing_at_all")[0] == "ModuleNotFoundError"
