"""The host that has something to lose, and the two levels it is defended at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from canaries import Canaries, canaries


@pytest.fixture(scope="session")
def host() -> Iterator[Canaries]:
    with canaries() as host:
        yield host


@pytest.fixture(params=["full", "plain"])
def level(request: pytest.FixtureRequest) -> str:
    return str(request.param)
