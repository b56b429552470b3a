"""A hint to install an extra works for the installation in front of it, and asks no index for whatever has our name."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from codeact.installation import wanted

CHECKOUT = Path(__file__).parents[1]
METADATA = """\
Metadata-Version: 2.4
Name: codeact
Version: 1.0
Requires-Dist: rich>=14
Requires-Dist: starlette<2,>=1.0; extra == 'serve'
Requires-Dist: uvicorn; (os_name != 'x') and extra == "serve"
Requires-Dist: jsonschema; extra == 'mcp'
"""


def installed(folder: Path, origin: object) -> Distribution:
    """What pip or uv leave beside an installed package."""
    info = folder / "codeact-1.0.dist-info"
    info.mkdir(exist_ok=True)
    info.joinpath("METADATA").write_text(METADATA)
    if origin is not None:
        info.joinpath("direct_url.json").write_text(origin if isinstance(origin, str) else json.dumps(origin))
    return Distribution.at(info)


COMMIT = "a" * 40
GIT = {"vcs": "git", "commit_id": COMMIT}
PACKAGES = ["starlette<2,>=1.0", "uvicorn"]


@pytest.mark.parametrize(
    ("origin", "asked"),
    [
        (None, ["codeact[serve]"]),
        ({"url": "HERE", "dir_info": {}}, ["FOLDER[serve]"]),
        ({"url": "HERE", "dir_info": {"editable": True}}, ["-e", "FOLDER[serve]"]),
        ({"url": "HERE/wheel.whl", "archive_info": {}}, ["codeact[serve] @ HERE/wheel.whl"]),
        (
            {
                "url": "https://git.example/codeact",
                "vcs_info": GIT,
                "subdirectory": "py",
            },
            [f"codeact[serve] @ git+https://git.example/codeact@{COMMIT}#subdirectory=py"],
        ),
        (
            {"url": "ssh://git@git.example/codeact", "vcs_info": GIT},
            [f"codeact[serve] @ git+ssh://git@git.example/codeact@{COMMIT}"],
        ),
        # what is gone, what would show a password, and what nobody can read: the packages themselves
        ({"url": "file:///gone/codeact", "dir_info": {"editable": True}}, PACKAGES),
        ({"url": "file:///gone/codeact.whl", "archive_info": {}}, PACKAGES),
        ({"url": "https://ada:pw@git.example/c", "vcs_info": GIT}, PACKAGES),
        ({"url": "https://files.example/codeact.whl?signature=abc", "archive_info": {}}, PACKAGES),
        ({"url": "https://git.example/codeact", "vcs_info": {}}, PACKAGES),
        ([], PACKAGES),
        ("{", PACKAGES),
    ],
)
def test_a_hint_names_what_this_installation_was_made_from(tmp_path: Path, origin: object, asked: list[str]) -> None:
    folder = tmp_path / "Ada's [own] check out"
    folder.mkdir()
    folder.joinpath("wheel.whl").touch()
    if isinstance(origin, dict):
        origin["url"] = origin["url"].replace("HERE", folder.as_uri())
    said = wanted("serve", installed(tmp_path, origin))
    there = [one.replace("HERE", folder.as_uri()).replace("FOLDER", str(folder)) for one in asked]
    assert shlex.split(said) == there, "it goes through a shell as it is"


def test_a_command_without_its_extra_says_what_to_type_from_where_it_was_installed(tmp_path: Path) -> None:
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError('', name='starlette')")  # as if it were not there
    installed(tmp_path, {"url": CHECKOUT.as_uri(), "dir_info": {}})
    done = subprocess.run(
        [Path(sys.executable).with_name("codeact"), "serve", "--model", "replay:none.jsonl", "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "the package 'starlette' is not installed here: " in done.stderr
    assert shlex.split(done.stderr)[-2:] == ["install", f"{CHECKOUT}[serve]"] or done.stderr.endswith(
        f" pip install --python {sys.executable} {shlex.quote(f'{CHECKOUT}[serve]')}\n"
    )
