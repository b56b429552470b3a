"""What every test may ask for."""

from __future__ import annotations

import gc
import os
import signal

import hypothesis
import pytest

os.environ["CODEACT_JOURNAL"] = "memory"  # nothing of a test's stays in the user's folder
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what is to run in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
# the same examples each time, however slow the machine is: `--hypothesis-profile default` looks for new ones
hypothesis.settings.register_profile("here", deadline=None, derandomize=True)
hypothesis.settings.load_profile("here")

# whole files go to the processes that test side by side, for what a file sets up it has once: the dear ones go first
_DEAR = (
    "crash/test_kills.py",
    "test_docs.py",
    "test_killed_runs.py",
    "test_benchmarks.py",
    "sandbox/test_sweep.py",
    "tools/test_mcp.py",
    "evals/test_evaluations.py",
    "evals/test_m3tooleval.py",
    "sandbox/test_many.py",
    "sandbox/test_host_sessions.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no process waits for another at the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: not str(item.path).endswith(_DEAR))


def pytest_collection_finish() -> None:
    """What has been collected stays to the end: it is not looked through again and again, nor copied by forks."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
