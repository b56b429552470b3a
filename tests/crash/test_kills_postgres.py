"""A run that is kept in a database and is killed anywhere loses nothing there either."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from stage import staged
from trials import Kill, drawn, trial

sys.path.insert(0, str(Path(__file__).parents[1]))
from journals.postgres import Unavailable, server

psycopg = pytest.importorskip("psycopg")
KILLS = 10  # at least


@pytest.mark.timeout(300)
def test_a_run_in_a_database_that_is_killed_anywhere_loses_nothing_and_does_nothing_twice(memory: Path) -> None:
    try:
        with server() as database, staged() as stage:

            def address(number: int) -> str:
                with psycopg.connect(database.url, autocommit=True) as connection:
                    connection.execute(f"CREATE DATABASE trial{number}")
                return database.url.replace("/postgres", f"/trial{number}")

            hit = 0
            for seed in range(1, 20):
                kills = [*drawn(seed, 360, 12), Kill("both", "commit@3")]
                one = trial(stage, memory / str(seed), "one", kills, None, database=address(seed))
                assert not one.wrong, (seed, kills, one.wrong)
                hit += one.kills
                if hit >= KILLS:
                    break
            assert hit >= KILLS
    except Unavailable as missing:
        pytest.skip(f"Debian package postgresql is absent: {missing}")
