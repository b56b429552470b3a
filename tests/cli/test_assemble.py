"""Names and numbers as people type them."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeact import assemble
from codeact.core.errors import UsageError
from codeact.core.execution import ALL, NONE, Imports, only

from .command import codeact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("512MiB", 512 << 20),
        ("512M", 512 << 20),
        ("2G", 2 << 30),
        ("2gib", 2 << 30),
        ("64K", 65536),
        ("1T", 1 << 40),
        ("1048576", 1048576),
        (" 1M ", 1 << 20),
        (1048576, 1048576),
    ],
)
def test_a_size_is_read_in_binary_units(text: str | int, expected: int) -> None:
    assert assemble.size(text) == expected


@pytest.mark.parametrize("text", ["", "M", "5X", "-1", "0", "1.5G", "512MB", "1e9", "١٢", "5 M B", True])
def test_what_is_no_size_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(UsageError, match="not a size"):
        assemble.size(text)


@pytest.mark.parametrize(("text", "expected"), [("5", 5.0), ("0.5", 0.5), (30, 30.0)])
def test_seconds_are_positive_and_finite(text: str, expected: float) -> None:
    assert assemble.seconds(text) == expected


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "soon", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a time"):
        assemble.seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("numpy,pandas", Imports(("numpy", "pandas"))),
        ("numpy, pandas", Imports(("numpy", "pandas"))),
        ("numpy.linalg", Imports(("numpy.linalg",))),
        ("numpy,numpy", Imports(("numpy",))),
        ("all", ALL),
        ("none", NONE),
        ("none,math,json", only("math", "json")),
    ],
)
def test_an_import_list_is_a_policy(text: str, expected: Imports) -> None:
    assert assemble.imports(text) == expected


@pytest.mark.parametrize("text", ["", "numpy,", "*", "num-py", "all,numpy", "numpy,none", "none,none", "a..b"])
def test_what_is_no_import_list_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        assemble.imports(text)


def test_an_unknown_sandbox_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'linux-full'\?"):
        assemble.sandbox("linux-ful")


def test_nobody_who_asks_for_a_sandbox_is_pointed_to_none() -> None:
    with pytest.raises(UsageError) as refused:
        assemble.sandbox("container")
    assert "did you mean" not in str(refused.value)


def _configured(home: Path, text: str) -> dict[str, str]:
    file = home / ".config" / "codeact" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="latin-1")
    return {"HOME": str(home)}


def test_the_model_is_the_flags_then_the_environments_then_the_configurations(tmp_path: Path) -> None:
    assert assemble.choose_model(None, {"HOME": str(tmp_path)}) is None
    user = _configured(tmp_path, 'model = "ollama:of-the-file"')
    assert assemble.choose_model(None, user) == "ollama:of-the-file"
    user["CODEACT_MODEL"] = "ollama:of-the-environment"
    assert assemble.choose_model(None, user) == "ollama:of-the-environment"
    assert assemble.choose_model("ollama:of-the-flag", user) == "ollama:of-the-flag"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('modle = "x"', "did you mean 'model'"),
        ("model = 3", "must be a string"),
        ("model =", "config.toml"),
        ("\xff", "config.toml"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_named(text: str, says: str, tmp_path: Path) -> None:
    user = _configured(tmp_path, text)
    with pytest.raises(UsageError, match=says):
        assemble.settings(user)


def test_the_working_directory_has_no_say(tmp_path: Path) -> None:
    """A project that was cloned from somewhere must not choose who is sent the task."""
    project, home = tmp_path / "project", tmp_path / "home"
    home.mkdir()
    for place in (".", "codeact", ".config/codeact"):
        (project / place).mkdir(parents=True, exist_ok=True)
        (project / place / "config.toml").write_text('model = "http://127.0.0.1:1/v1#evil"')
    (project / ".env").write_text("CODEACT_MODEL=http://127.0.0.1:1/v1#evil")
    done = codeact("run", "x", home=home, cwd=project, XDG_CONFIG_HOME=".")
    assert done.code == 2
    assert "no model" in done.err
