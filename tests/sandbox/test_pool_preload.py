"""Packages that are there before a session asks: the same as if it had imported them, in less time and memory."""

from __future__ import annotations

import logging
import venv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from talk import GUEST, at

from codeact.cells import Cells
from codeact.core.execution import ALL, NONE, Imports, Limits, Policy, only
from codeact.ports import Pipe
from codeact.sandboxes.linux import LinuxSandbox
from codeact.sandboxes.linux.launchers import SHIPPED, Parts
from codeact.sandboxes.linux.preload import profile

BOTH = Imports(("numpy", "pandas"))
MIB = 1 << 20


@pytest.fixture
def wall() -> LinuxSandbox:
    at("full")
    return LinuxSandbox("full", _parts=Parts(SHIPPED.entry, GUEST))


@asynccontextmanager
async def cells(imports: Imports = BOTH, **limits: int) -> AsyncIterator[Cells]:
    at("full")
    async with Cells(LinuxSandbox("full"), Policy(Limits(**limits), imports=imports)) as started:
        yield started


async def value(of: Cells, code: str) -> str | None:
    outcome = await of.run(code)
    assert outcome.ok, outcome.error
    return outcome.value


@pytest.mark.parametrize(
    ("imports", "expected"),
    [
        (Imports(("numpy",)), ("numpy",)),
        (Imports(("pandas", "numpy")), ("numpy", "pandas")),
        (Imports(("numpy.linalg", "pandas.api.types")), ("numpy", "pandas")),
        (Imports(("numpy_financial", "requests", "os")), ()),
        (only("pandas"), ("pandas",)),
        (Imports(), ()),
        (ALL, ()),
        (NONE, ()),
    ],
)
def test_what_a_policy_names_is_preloaded_and_nothing_else(imports: Imports, expected: tuple[str, ...]) -> None:
    assert profile(imports.names) == expected


@asynccontextmanager
async def guest(wall: LinuxSandbox, imports: Imports, python: str | None = None) -> AsyncIterator[Pipe]:
    async with wall.launch(Policy(Limits(), python, imports), lambda *_: None) as pipe:
        yield pipe


async def test_a_session_has_what_its_policy_names_and_another_does_not() -> None:
    pytest.importorskip("pandas")
    async with cells() as one, cells(Imports()) as other, cells(ALL) as third:
        loaded = "import sys; {'numpy', 'pandas'} & set(sys.modules) == "
        assert await value(one, f"{loaded} {{'numpy', 'pandas'}}") == "True"
        assert await value(other, f"{loaded} set()") == "True"
        assert await value(third, f"{loaded} set()") == "True"
        assert (await other.run("import numpy")).error is not None


async def test_at_the_level_plain_nothing_is_loaded_outside_the_lock() -> None:
    plain = at("plain")
    async with Cells(LinuxSandbox(_parts=Parts(plain._parts.entry)), Policy(imports=BOTH)) as one:
        assert one.level == "plain"
        assert await value(one, "import sys; 'numpy' in sys.modules") == "False"


async def test_two_sessions_share_no_randomness() -> None:
    pytest.importorskip("numpy")
    draw = (
        "import pandas, numpy as np, random, ssl, uuid, secrets\n"
        "[np.random.rand(), np.random.default_rng().random(), np.random.RandomState().rand(), random.random(), "
        "uuid.uuid4().hex, secrets.token_hex(8), ssl.RAND_bytes(8).hex()]"
    )
    with_ssl = Imports((*BOTH.names, "ssl"))
    async with cells(with_ssl) as one, cells(with_ssl) as other:
        first, second = await value(one, draw), await value(other, draw)
        assert first is not None and second is not None
        assert not set(first.strip("[]").split(", ")) & set(second.strip("[]").split(", "))


async def test_packages_work_after_the_fork_as_before_it_also_with_threads() -> None:
    pytest.importorskip("pandas")
    async with cells() as one:
        assert await value(one, "import numpy as np; a = np.ones((700, 700)); float((a @ a)[0, 0])") == "700.0"
        frame = "import pandas as pd; pd.DataFrame({'a': [1, 1, 2], 'b': [1., 2., 3.]}).groupby('a').b.sum().to_dict()"
        assert await value(one, frame) == "{1: 3.0, 2: 3.0}"


async def test_the_memory_of_a_preload_is_not_the_sessions() -> None:
    pytest.importorskip("pandas")
    async with cells(memory=64 * MIB) as one:
        assert await value(one, "import pandas, time; time.sleep(0.1); 1") == "1"
        outcome = await one.run("held = [bytes(1 << 20) for _ in range(200)]")
        assert not outcome.ok


BROKEN = {
    "raises": "raise ValueError('broken here')",
    "exits": "raise SystemExit(3)",
    "dies": "import os; os._exit(3)",
    "crashes": "import ctypes; ctypes.string_at(0)",
    "starts a thread": "import threading, time; threading.Thread(target=time.sleep, args=(999,), daemon=True).start()",
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_package_that_cannot_be_preloaded_is_said_and_sessions_start_all_the_same(
    wall: LinuxSandbox, how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    (site / "numpy.py").write_text(BROKEN[how])
    with caplog.at_level(logging.INFO, "codeact"):
        async with guest(wall, Imports(("numpy", "pandas")), str(tmp_path / "venv")) as pipe:
            assert pipe.level == "full"
    assert "preloaded" in caplog.text
    assert "pandas is not" not in caplog.text  # it is not installed there: nothing to say
