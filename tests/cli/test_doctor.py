"""`codeact doctor`: what this machine gives, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

from codeact.journals.sqlite import SqliteStore

from .command import codeact


def test_programs_read_the_level_the_layers_and_the_proof(tmp_path: Path) -> None:
    done = codeact("doctor", "--json", home=tmp_path, OPENAI_API_KEY="sk-secret")
    told = json.loads(done.out)
    assert done.code == 0
    assert told["level"] in ("full", "plain")
    assert all({"name", "ok", "errno", "reason", "mend", "tried"} <= layer.keys() for layer in told["layers"])
    assert {"landlock", "seccomp"} <= {layer["name"] for layer in told["layers"] if layer["ok"]}
    assert told["cell"]["ok"] and told["cell"]["level"] == told["level"]
    journal = told["journal"]
    assert journal["place"] == str(tmp_path / ".local/state/codeact/journal.db") and not list(tmp_path.rglob("*.db*"))
    assert (journal["ok"], journal["there"], journal["version"]) == (True, False, None)
    assert {"codeact", "python", "system"} <= told["versions"].keys()
    assert [model["spec"].split(":")[0] for model in told["models"] if model["provider"] == "openai"] == ["openai"]
    assert "secret" not in done.out + done.err


def test_people_read_the_same(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "runs.db").create("r").close()
    done = codeact("doctor", "--journal", "runs.db", home=tmp_path)
    assert done.code == 0
    for text in (
        "sandbox linux: level",
        "landlock",
        "a cell ran at level",
        "format 3, can be written)",
        "models in reach:",
    ):
        assert text in done.out
