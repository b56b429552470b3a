"""The house stands: arrows point down, adapters do not know each other, the front door is light, rooms are small."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import codeact

SOURCE = Path(codeact.__file__).parent

# A file imports only from lower floors (core and guest: only themselves), or from its own folder.
FLOORS = {
    "core": 1,
    "guest": 1,
    "crashpoints": 1,
    "begun": 1,
    "uninterrupted": 1,
    "ports": 2,
    "below": 1,
    "files": 2,
    "cursor": 2,
    "places": 1,
    "shell": 1,
    "terminal": 2,
    "secrets": 2,
    "installation": 2,
    "interpreter": 3,
    "following": 3,
    "ledger": 3,
    "metered": 3,
    "network": 3,
    "portal": 3,
    "packages": 3,
    "models": 3,
    "sandboxes": 3,
    "tools": 3,
    "journals": 3,
    "listeners": 3,
    "cells": 4,
    "history": 3,
    "session": 4,
    "testing": 4,
    "blocking": 4,
    "assemble": 5,
    "stores": 5,
    "evals": 5,
    "questions": 4,
    "export": 4,
    "api": 6,
    "faces": 7,
    "__init__": 8,
}
WITHIN = {  # on one floor, who may know whom: the rest may not
    ("cells", "session"),
    ("interpreter", "network"),
    ("metered", "ledger"),
    ("tools", "following"),
    ("history", "following"),
    ("listeners", "following"),
    ("tools", "ledger"),
    ("tools", "metered"),
    ("blocking", "session"),
    ("blocking", "cells"),
    ("testing", "cells"),
    ("assemble", "stores"),
}


@functools.cache
def modules() -> dict[str, ast.Module]:
    found = {}
    for file in sorted(SOURCE.rglob("*.py")):
        name = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
        found[name] = ast.parse(file.read_text(encoding="utf-8"), str(file))
    return found


@functools.cache
def nodes(name: str) -> list[ast.AST]:
    """All of a module: hundreds of thousands, so they are looked for once."""
    return list(ast.walk(modules()[name]))


def imports_of(name: str, within: Iterable[ast.AST], known: set[str]) -> set[str]:
    """The modules of ours that this one imports in these lines, early or late, as names below `codeact`."""
    package = ["codeact", *name.split(".")[:-1]]
    found = set()
    for node in within:
        targets = []
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            targets = [".".join([*module, alias.name]) for alias in node.names] + [".".join(module)]
        elif isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        for target in targets:
            if target.startswith("codeact."):
                inner = target.removeprefix("codeact.")
                found |= {one for one in (inner, f"{inner}.__init__") if one in known}
    return found - {name, f"{name.rpartition('.')[0]}.__init__"}


@functools.cache
def graph() -> dict[str, set[str]]:
    known = set(modules())
    return {name: imports_of(name, nodes(name), known) for name in known}


def room(name: str) -> str:
    return name.split(".")[0]


def test_every_arrow_points_down() -> None:
    wrong = []
    for name, targets in graph().items():
        for target in targets:
            one, other = room(name), room(target)
            if name == "__init__" or target == "__init__" or one == other:
                continue
            if FLOORS[other] > FLOORS[one] or (FLOORS[other] == FLOORS[one] and (one, other) not in WITHIN):
                wrong.append(f"{name} -> {target}")
    assert not wrong


def test_adapters_of_one_folder_do_not_import_each_other() -> None:
    """`child` is no adapter: it is what those that start a command have between them and the guest."""

    def adapter(name: str) -> str:
        return name.split(".")[1]

    sandboxes = {name: targets for name, targets in graph().items() if name.startswith("sandboxes.")}
    wrong = [
        f"{name} -> {target}"
        for name, targets in sandboxes.items()
        for target in targets
        if target.startswith("sandboxes.") and adapter(target) not in (adapter(name), "child")
    ]
    assert not wrong


def test_models_do_not_import_each_other_and_share_what_servers_have_in_common() -> None:
    """`server` is no adapter, and `specs` names them all."""
    wrong = [
        f"{name} -> {target}"
        for name, targets in graph().items()
        for target in targets
        if room(name) == room(target) == "models"
        and target.split(".")[1] not in (name.split(".")[1], "server", "specs", "__init__")
    ]
    assert not wrong


def test_assemble_alone_knows_models_and_sandboxes() -> None:
    wrong = [
        f"{name} -> {target}"
        for name, targets in graph().items()
        for target in targets
        if room(target) in ("models", "sandboxes") and room(name) not in (room(target), "assemble")
    ]
    assert not wrong


def test_no_circle_of_imports_early_or_late() -> None:
    edges = graph()
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for target in sorted(edges[name]):
                walk(target, (*path, name))
            done.add(name)

    for name in edges:
        walk(name, ())


def test_the_guest_and_the_core_import_the_standard_library_alone() -> None:
    for name in modules():
        if room(name) not in ("core", "guest"):
            continue
        for node in nodes(name):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for one in names:
                assert one.partition(".")[0] in sys.stdlib_module_names, f"{name} imports {one}"
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1, f"{name} leaves its room"


def test_the_core_does_not_wait_and_does_not_look_at_the_clock() -> None:
    for name in modules():
        if room(name) != "core":
            continue
        for node in nodes(name):
            assert not isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith), name
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"time", "random", "os", "socket", "asyncio", "secrets"}, name


def test_nothing_that_reads_the_guest_can_run_what_it_says() -> None:
    banned = {"pickle", "marshal", "shelve", "dill", "jsonpickle", "cloudpickle"}
    for name in modules():
        for node in nodes(name):
            if isinstance(node, ast.Import):
                assert not {alias.name.partition(".")[0] for alias in node.names} & banned, name
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in banned, name
            if room(name) not in ("guest", "tools") and isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), name


def test_the_front_door_is_small_and_light() -> None:
    assert len(codeact.__all__) <= 30
    program = (
        "import sys; before = set(sys.modules); import codeact; dir(codeact)\n"
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    heavy = {"asyncio", "anyio", "dataclasses", "inspect", "json", "logging", "pydantic", "rich", "openai", "socket"}
    assert not heavy & set(done.stdout.split())


def test_every_name_of_the_front_door_is_there() -> None:
    for name in codeact.__all__:
        assert getattr(codeact, name).__doc__ or name in ("ALL", "NONE")


def test_what_runs_where_linux_is_not_needs_nothing_of_unix_to_be_imported() -> None:
    """All that the front door and the sandbox `wasm` lead to, without what a `try` or a function imports."""
    unix = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix", "syslog"}
    trees = modules()
    seen: set[str] = set()
    waiting = {"api.agents", "assemble", "faces.cli.__init__", "sandboxes.child", "sandboxes.wasm.sandbox"}
    waiting |= {name for name in trees if name.startswith(("faces.cli.", "sandboxes.wasm.")) or name in ("testing",)}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        at_top = [node for node in trees[name].body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.name for node in at_top if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in at_top if isinstance(node, ast.ImportFrom) and not node.level}
        assert not names & unix, name
        waiting |= imports_of(name, at_top, set(trees)) - seen
    assert {"guest.wire", "guest.relay", "interpreter.conversation", "sandboxes.wasm.fetching"} <= seen
    assert not {name for name in seen if name.startswith("sandboxes.linux")}


def test_what_runs_on_windows_names_nothing_that_is_not_there(tmp_path: Path) -> None:
    """All that asks something of the system, as mypy sees it there; what runs on Linux alone, or in a guest, is not."""
    system = {
        "os",
        "signal",
        "select",
        "socket",
        "asyncio",
        "subprocess",
        "stat",
        "time",
        "shutil",
        "tempfile",
        "errno",
    }
    of_linux = ("guest.", "network.", "sandboxes.linux.")
    files = [
        str(SOURCE / f"{name.replace('.', '/')}.py")
        for name in modules()
        if not name.startswith(of_linux)
        and any(isinstance(node, ast.Import) and node.names[0].name in system for node in modules()[name].body)
    ]
    settings = tmp_path / "mypy.ini"
    settings.write_text(
        "[mypy]\nplatform = win32\nfollow_imports = skip\nignore_missing_imports = true\nno_site_packages = true\n"
    )
    words = ("--config-file", str(settings), "--cache-dir", str(tmp_path / "cache"), *files)
    done = subprocess.run([sys.executable, "-m", "mypy", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(files) > 50


def test_the_guest_can_be_imported_by_a_python_in_webassembly() -> None:
    """What such a Python lacks is not asked for at the top of a file: some modules, half of `socket`."""
    for name, tree in modules().items():
        if room(name) != "guest" or name in ("guest.relay", "guest.wasm"):
            continue
        for node in tree.body:
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & {"resource", "pwd", "grp", "curses"}, name
            if isinstance(node, ast.ImportFrom):
                assert node.module not in ("socket", "signal", "resource"), f"{name}: write `import {node.module}`"


def test_no_room_grows_into_a_hall() -> None:
    halls = {
        str(file.relative_to(SOURCE)): lines
        for file in SOURCE.rglob("*.py")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > 420
    }
    assert not halls
    names = {file.stem for file in SOURCE.rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "common", "base", "types", "misc"}
