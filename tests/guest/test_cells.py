"""A guest in a plain process, and a host that says the words: what a cell may do, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stand_in import Guest, tool, word

from codeact.guest import values, wire


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    with Guest() as guest:
        yield guest


def test_the_last_expression_is_shown_and_names_stay(guest: Guest) -> None:
    assert guest.value("x = 20\nx + 1") == "21"
    assert guest.value("x") == "20"
    assert guest.value("x = 3") is None
    assert guest.value("None") is None
    assert guest.value("") is None
    assert guest.value("# nothing") is None


def test_what_is_printed_is_there_before_the_cell_is_done(guest: Guest) -> None:
    guest.run("import sys\nprint('a')\nprint('b', file=sys.stderr, end='')")
    assert (guest.stdout, guest.stderr) == ("a\n", "b")


def test_the_output_of_c_code_is_there_too(guest: Guest) -> None:
    with Guest(everything=True) as free:
        free.run("import ctypes\nctypes.CDLL(None).puts(b'from c')\nprint('from python')")
        assert sorted(free.stdout.splitlines()) == ["from c", "from python"]


def test_text_that_is_not_utf8_is_escaped(guest: Guest) -> None:
    guest.run(r"print('\ud800 é')")
    assert guest.stdout == "\\ud800 é\n"


RUNS_LIKE_A_SCRIPT = [
    ("__name__", "'__main__'"),
    ("import sys; sys.modules['__main__'].__dict__ is globals() is locals()", "True"),
    ("def f(): return globals() is g\ng = globals()\nf()", "True"),
    ("import sys\nsys.argv", "['']"),
    ("sys.stdin.read()", "''"),
    ("class A: pass\nimport pickle\ntype(pickle.loads(pickle.dumps(A()))) is A", "True"),
    ("import inspect\ndef f():\n    return 'source'\ninspect.getsource(f)", "\"def f():\\n    return 'source'\\n\""),
    ("import inspect\nclass C:\n    a = 1\ninspect.getsource(C)", "'class C:\\n    a = 1\\n'"),
    (
        "import dataclasses, typing\n@dataclasses.dataclass\nclass D:\n    x: 'D | None'\ntyping.get_type_hints(D)",
        "{'x': __main__.D | None}",
    ),
    ("from __future__ import annotations\ndef f(x: nowhere): ...\nf.__annotations__", "{'x': 'nowhere'}"),
    ("def f(x: int): ...\nf.__annotations__", "{'x': <class 'int'>}"),
    ("exec('y = 1'); y + eval('1')", "2"),
    ("import asyncio\nasyncio.run(asyncio.sleep(0, 7))", "7"),
    ("import asyncio\nawait asyncio.sleep(0, 8)", "8"),
    ("[await asyncio.sleep(0, i) for i in range(3)]", "[0, 1, 2]"),
    ("import contextvars\nv = contextvars.ContextVar('v')\nt = v.set(1)", None),
    ("await asyncio.sleep(0)\nt = v.set(v.get() + 1)\nv.get()", "2"),
    ("v.get()", "2"),
    ("\r\nx = 1\r\nx", "1"),
]


def test_a_cell_runs_like_a_script(guest: Guest) -> None:
    for source, expected in RUNS_LIKE_A_SCRIPT:
        assert guest.value(source) == expected, source


def test_cells_that_await_share_one_loop_and_its_tasks_go_on() -> None:
    with Guest() as guest:
        guest.run(
            "import asyncio\nloop = asyncio.get_running_loop()\nt = asyncio.create_task(asyncio.sleep(0, 5))\nawait t"
        )
        assert guest.value("asyncio.get_running_loop() is loop, await t") == "(True, 5)"


ERRORS = [
    ("1/0", "ZeroDivisionError", "division by zero"),
    ("raise SystemExit(0)", "SystemExit", "0"),
    ("exit()", "SystemExit", "None"),
    ("import sys; sys.exit('bye')", "SystemExit", "bye"),
    ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
    ("input()", "EOFError", "EOF when reading a line: nobody is at the keyboard in here"),
    (
        "breakpoint()",
        "RuntimeError",
        "breakpoint() waits for a person, who is not here: print what you want to look at",
    ),
    ("class R:\n    def __repr__(self): raise ValueError('no')\nR()", "ValueError", "no"),
    ("def f(): f()\nf()", "RecursionError", "maximum recursion depth exceeded"),
    ("x = (", "SyntaxError", "'(' was never closed"),
    ("class E(Exception):\n    def __str__(self): raise RuntimeError\nraise E", "E", "<its str() raised RuntimeError>"),
    ("raise Exception('x' * 10**6)", "Exception", None),
    ("raise ExceptionGroup('many', [ValueError(1)])", "ExceptionGroup", "many (1 sub-exception)"),
]


@pytest.mark.parametrize(("source", "kind", "message"), ERRORS, ids=[kind for _, kind, _ in ERRORS])
def test_what_a_cell_raises_is_its_error(guest: Guest, source: str, kind: str, message: str | None) -> None:
    done = guest.run(source)
    assert done.error is not None and done.error[0] == kind
    assert done.ended == "done" and done.value is None
    assert message is None or done.error[1] == message
    assert len(done.error[1]) < 5000 and len(done.error[2]) < 9000


@pytest.mark.parametrize(
    "source",
    [
        "\0",
        "x = '\ud800'",
        "(" * 1000 + ")" * 1000,
        "+".join(["1"] * 200_000),
        "-" * 100_000 + "1",
        "x\n  y",
        "\u00a0x",
        "await",
    ],
    ids=["nul", "surrogate", "parentheses", "terms", "signs", "indent", "nbsp", "await"],
)
def test_source_that_does_not_compile_is_the_cells_error(guest: Guest, source: str) -> None:
    assert guest.run(source).error is not None
    assert guest.value("1") == "1"


def test_a_syntax_error_shows_its_line(guest: Guest) -> None:
    kind, message, text = guest.error("ok = 1\nx = = 1")
    assert (kind, message) == ("SyntaxError", "invalid syntax")
    assert text.splitlines()[1:] == ["    x = = 1", "        ^", "SyntaxError: invalid syntax"]


@pytest.mark.parametrize(
    ("source", "complete"),
    [
        ("a = 1\nb = 2\n1/0\nc = 3", 2),
        ("a = 1; 1/0; b = 2", 1),
        ("1/0", 0),
        ("a = 1\n1/0 if a else 0", 1),
        ("for i in range(3):\n    a = i\n    1/(2 - i)\nb = 1", 0),
        ("a = 1\n@print\ndef f(): 1/0\n", 2),
        ("import asyncio\nawait asyncio.sleep(0)\n1/0\n2", 2),
        ("a = 1\nb = 2\nb", 3),
        ("a = 1\nclass R:\n    def __repr__(self): 1/0\nR()", 3),
        ("x = 'é'; y = 'é'; 1/0", 2),
    ],
)
def test_a_cell_counts_the_statements_that_ended(guest: Guest, source: str, complete: int) -> None:
    assert guest.run(source).complete == complete


BREAKS_THINGS = [
    "del __builtins__",
    "import builtins\nbuiltins.print = builtins.len = builtins.isinstance = builtins.repr = builtins.__import__ = None",
    "import json, traceback, linecache\njson.dumps = traceback.TracebackException = linecache.getline = None",
    "import linecache\nlinecache.clearcache()\nlinecache.cache = None",
    "import sys\nsys.stdout = sys.stderr = sys.stdin = None",
    "import sys\nsys.stdout.close(); sys.stderr.detach(); sys.__stdout__ = None",
    "import os\nos.close(1); os.close(2); os.close(0)",
    "import os\nos.dup2(os.open('away', os.O_CREAT | os.O_RDWR), 1)",
    "import sys\nsys.modules.clear()",
    "import sys\nsys.modules = {}; sys.meta_path.clear(); sys.path.clear()",
    "import sys\nsys.setrecursionlimit(60)",
    "import os, sys\nos.dup2 = os.fstat = sys._current_frames = sys.meta_path = None\nsys.stdin.close()",
    "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)",
    "__name__ = 'other'; __file__ = None",
    "import sys\nsys.modules['__main__'] = None",
    "import threading\nthreading.Thread = threading.Lock = None",
    "import asyncio\nasyncio.new_event_loop = asyncio.run = None",
    "final_answer = 3; import builtins; builtins.final_answer = 4",
    "import sys\nsys.excepthook = sys.displayhook = sys.unraisablehook = None",
    "def f():\n    import os\n    try: os.write(1, b'x')\n    finally: f()\nf()",
    "import os\nif os.fork() == 0: raise SystemExit\nos.wait()",
    "globals().clear()",
    "import os\nos.chdir('/')\nos.environ.clear()",
    "class M(type):\n    __name__ = property(lambda cls: 1/0)\nclass E(Exception, metaclass=M): pass\nraise E",
    "class E(Exception):\n    __notes__ = property(lambda s: 1/0)\n    __cause__ = 3\nraise E",
    "e = Exception(); e.__context__ = e2 = Exception(); e2.__context__ = e\nraise e",
]


@pytest.mark.parametrize("source", BREAKS_THINGS)
def test_a_cell_that_breaks_things_harms_itself_alone(source: str) -> None:
    with Guest() as guest:
        guest.run(source)
        assert guest.value("print('here')\n[len('ab'), isinstance(1, int)]") == "[2, True]"
        assert guest.stdout == "here\n"
        kind, _, text = guest.error("def g():\n    return 1 / 0\ng()")
        assert kind == "ZeroDivisionError" and "return 1 / 0" in text and 'File "<cell 3>", line 3, in <module>' in text
        guest.run("import sys\nprint('to stderr', file=sys.stderr)")
        assert guest.stderr == "to stderr\n"


def test_what_a_thread_of_an_earlier_cell_prints_is_left_out_and_nobody_else_is_asked(guest: Guest) -> None:
    looked_at = "import sys, threading\n['write' in vars(sys.stdout), threading.active_count()]"
    assert guest.value(looked_at) == "[False, 1]"
    guest.run("""
go, gone = threading.Event(), threading.Event()
def late():
    go.wait()
    print("late")
    gone.set()
left = threading.Thread(target=late)
left.start()
""")
    done = guest.run("go.set(); gone.wait(); left.join()\nprint('mine')")
    assert guest.stdout == "mine\n"
    assert done.notes == [
        "5 characters that threads of earlier cells printed are left out: wait for a thread in the cell that starts it"
    ]
    assert guest.value(looked_at) == "[False, 1]"


def test_an_alarm_ends_with_its_cell(guest: Guest) -> None:
    guest.run("import signal\nsignal.alarm(50)")
    assert guest.value("signal.alarm(0)") == "0"


def test_the_same_seed_gives_the_same_numbers() -> None:
    source = "import random, uuid, os, secrets\nimport numpy.random as n\n"
    source += "[random.random(), uuid.uuid4(), os.urandom(3), secrets.token_hex(4), n.rand(), n.default_rng().random()]"
    with Guest(names=["numpy"]) as one, Guest(names=["numpy"]) as two:
        first = one.value(source)
        assert first == one.value(source) == two.value(source)
        other = one.run(source, seed="f" * 32).value
        assert other is not None and values.decode(other) != first
        assert one.value("random.random() != n.rand()") == "True"  # though both are the same generator


def test_help_says_what_pydoc_says_and_never_waits(guest: Guest) -> None:
    guest.run("help(len)\nhelp()")
    assert guest.stdout.startswith("Help on built-in function len in module builtins:")
    assert "help(thing)" in guest.stdout


def test_input_reads_what_the_cell_put_there(guest: Guest) -> None:
    assert guest.value("import io, sys\nsys.stdin = io.StringIO('typed\\n')\ninput()") == "'typed'"
    guest.run("try: input('name? ')\nexcept EOFError: print('nobody')")
    assert guest.stdout == "name? nobody\n"


def test_a_module_that_the_cell_wrote_can_be_imported(guest: Guest) -> None:
    guest.run("import sys\nfor name in ('mine_own', 'random'): open(name + '.py', 'w').write('x = 5')")
    assert guest.value("import random; hasattr(random, 'x')") == "False"
    assert guest.value("import mine_own; mine_own.x") == "5"
    guest.run("import tempfile, pathlib\nd = tempfile.mkdtemp()\npathlib.Path(d, 'other_own.py').write_text('y = 6')")
    assert guest.value("sys.path.insert(0, d)\nfrom other_own import y; y") == "6"


def test_values_are_bound_and_fetched_between_cells(guest: Guest) -> None:
    guest.send(wire.Bind(1, values.encode({"rows": [1, (2, 3)], "été": None})))
    assert guest.next() == wire.Bound(1, None)
    assert guest.value("rows, été") == "([1, (2, 3)], None)"
    guest.run("made = {'a': {1, 2}}\nbad = [lambda: 0]")
    for number, name in enumerate(("made", "bad", "absent"), 2):
        guest.send(wire.Fetch(number, name))
    assert guest.next() == wire.Fetched(2, values.encode({"a": {1, 2}}), None)
    assert guest.next() == wire.Fetched(3, None, ["Refused", "$[0]: function does not cross; give data, not code"])
    assert guest.next() == wire.Fetched(4, None, ["NameError", "name 'absent' is not defined"])
    for wrong in ({"not a name": 1}, {"final_answer": 1}, {"class": 1}, {"__builtins__": 1}, [1]):
        guest.send(wire.Bind(9, values.encode(wrong)))
        assert guest.next().failure is not None, wrong


def test_a_host_that_hangs_up_ends_a_cell_that_never_ends() -> None:
    guest = Guest()
    guest.start("print('on', flush=True)\nwhile True: pass")
    guest.socket.close()
    assert guest.process.wait(30) == 0
    guest.__exit__()


def test_a_tool_and_the_final_answer_are_always_there() -> None:
    with Guest([tool("ask", "(value)", word())], {"ask": lambda value: value}) as guest:
        guest.run("ask = ask('mine')\nfinal_answer = 1")
        done = guest.run("ask('again')")
        assert done.error is None and done.value == values.encode("'again'")
        assert guest.value("ask_value") == "'mine'"
