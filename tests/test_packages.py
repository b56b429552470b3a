"""Packages for the sandbox: made once, by uv, from wheels alone, and seen read-only inside.

Most come from wheels made here, so that nothing depends on the network; two tests ask the real index.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import codeact as library
from cli.command import codeact
from codeact import ALL, CodeAgent, Interpreter, UsageError, only
from codeact.packages import Installed, complaint, find_uv, install, requirement
from codeact.testing import ScriptedModel

pytestmark = pytest.mark.skipif(find_uv() is None, reason="there is no uv here")


class Shop:
    """A folder of wheels, which is all the index there is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def wheel(self, name: str, version: str = "1.0", needs: str = "", **files: str) -> None:
        """A wheel with these files; `__` in a name stands for a dot, `___` for a slash."""
        info = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        content = {f.replace("___", "/").replace("__", "."): text for f, text in files.items()} | {
            f"{info}/METADATA": metadata + (f"Requires-Dist: {needs}\n" if needs else ""),
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        rows = []
        for path, text in content.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            rows.append(f"{path},sha256={digest},{len(text.encode())}\n")
        content[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\n"
        with zipfile.ZipFile(self.folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
            for path, text in content.items():
                file.writestr(path, text)

    def source(self, name: str, setup: str) -> None:
        """A package that would have to be built."""
        with tarfile.open(self.folder / f"{name}-1.0.tar.gz", "w:gz") as file:
            for path, text in (
                ("setup.py", setup),
                ("PKG-INFO", f"Metadata-Version: 1.0\nName: {name}\nVersion: 1.0\n"),
            ):
                member = tarfile.TarInfo(f"{name}-1.0/{path}")
                member.size = len(text)
                file.addfile(member, io.BytesIO(text.encode()))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    (tmp_path / "config" / "uv").mkdir(parents=True)
    (tmp_path / "config" / "uv" / "uv.toml").write_text(f"no-index = true\nfind-links = [{str(tmp_path / 'shop')!r}]\n")
    made = Shop(tmp_path / "shop")
    made.wheel("friends", friends__py="names = ['Ada']\n")
    made.wheel(
        "Greeting", needs="friends", greeting__py="import friends\n\ndef hello():\n    return friends.names[0]\n"
    )
    return made


def installed(*packages: str, refresh: bool = False) -> Installed:
    return install(packages, sys.executable, sys.version_info[:3], refresh=refresh)


def environments(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "cache" / "codeact" / "environments"
    return sorted(folder.iterdir()) if folder.exists() else []


# -- what a package is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("pandas", "pandas"),
        (" polars >= 1 ", "polars>=1"),
        ("Ruamel.YAML~=0.18", "ruamel-yaml~=0.18"),
        ("httpx[http2, Socks]>=0.27,<1", "httpx[http2,socks]<1,>=0.27"),
        ("six==1.*", "six==1.*"),
        ("torch==2.5.1+cpu", "torch==2.5.1+cpu"),
    ],
)
def test_a_package_is_named_as_for_pip(text: str, meant: str) -> None:
    assert str(requirement(text)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "pandas; rm -rf", "pandas; python_version > '3'", "-r file", "-r", "--index-url=http://x", "./pandas",
        "../pandas", "/tmp/pandas", "a/b", "pandas-2.0-py3-none-any.whl", "pandas.tar.gz", "requirements.txt",
        "https://example.org/x.whl", "git+https://example.org/x", "pandas @ file:///tmp/x", "pandas @ https://x/y.whl",
        "pandas\nsix", "pandas six", "pandas,six", "pandas>=", "pandas==-r", "pandas[", "pandas[]", "päckchen",
        "a" * 300, "pandas # comment", "$HOME", "pandas==${HOME}", ".", "..",
    ],
)  # fmt: skip
def test_what_is_no_package_is_refused_before_uv_is_run(
    text: str, tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_uv(tmp_path, monkeypatch)
    with pytest.raises(UsageError, match="not a package"):
        installed("friends", text)
    assert not (tmp_path / "was-run").exists()


def no_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the uv that is found first does nothing but leave a mark, and fail."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").write_text(f"#!/bin/sh\n: > {tmp_path / 'was-run'}\nexit 1\n")
    (tmp_path / "bin" / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


def test_a_bare_name_in_place_of_a_list_is_told(shop: Shop) -> None:
    with pytest.raises(TypeError, match=r"write a list, packages=\['friends'\]"):
        Interpreter(packages="friends")
    with pytest.raises(TypeError, match="not by int"):
        Interpreter(packages=[3])  # type: ignore[list-item]


# -- what code sees ----------------------------------------------------------------------------------------------------


def test_code_imports_what_was_asked_for_and_not_what_that_needs(shop: Shop) -> None:
    with Interpreter(packages=["greeting"]) as python:
        assert python.run("import greeting\ngreeting.hello()").value == "'Ada'"
        refused = python.run("import friends")
        assert refused.error is not None and refused.error.type == "ImportPolicyError"
        assert "greeting" in refused.error.message
        written = python.run("open(greeting.__file__, 'a')")
        assert written.error is not None and written.error.type in ("OSError", "PermissionError")
        assert python.run("greeting.__cached__ and __import__('os').path.exists(greeting.__cached__)").value == "True"


def test_nothing_else_is_in_the_environment(shop: Shop) -> None:
    with Interpreter(packages=["friends"], imports=ALL) as python:
        gone = python.run("import pydantic")
        assert gone.error is not None and gone.error.type == "ModuleNotFoundError"
    with Interpreter(packages=["friends"], imports=only("math")) as python:
        assert python.run("import math, friends\nfriends.names").value == "['Ada']"
        assert not python.run("import json").ok


def test_the_model_is_told_what_it_may_import(shop: Shop) -> None:
    shop.wheel("many", alone__py="", inner___a__py="", inner___b__txt="", _private__py="", data___x__csv="1")
    model = ScriptedModel("```python\nimport greeting\nfinal_answer(greeting.hello())\n```")
    agent = CodeAgent(model=model, packages=["greeting", "many"], imports=["numpy"])
    assert agent.replace(max_steps=3).run("Who?").output == "Ada"
    assert ", and numpy, alone, greeting, inner. Nothing else" in model.prompts[0].messages[0].text


# -- made once ---------------------------------------------------------------------------------------------------------


def test_the_same_packages_again_take_neither_network_nor_uv(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = installed("greeting", "friends>=1")
    shutil.rmtree(shop.folder)
    no_uv(tmp_path, monkeypatch)
    assert installed("friends >= 1", "Greeting", "greeting") == first
    assert first.modules == ("friends", "greeting")
    assert not (tmp_path / "was-run").exists()


def test_a_newer_version_is_seen_when_it_is_looked_for(shop: Shop) -> None:
    old = installed("friends")
    shop.wheel("friends", "2.0", friends__py="names = ['Grace']\n")
    assert installed("friends") == old
    new = installed("friends", refresh=True)
    assert new != old and installed("friends") == new
    assert Path(old.python).exists()  # somebody may be running in it
    with Interpreter(packages=["friends"]) as python:
        assert python.run("import friends\nfriends.names").value == "['Grace']"


def test_requirements_that_come_to_the_same_share_an_environment(shop: Shop, tmp_path: Path) -> None:
    assert installed("greeting").python == installed("greeting<2", "friends").python
    assert len(environments(tmp_path)) == 1


def test_two_at_once_make_one_environment_and_leave_nothing_behind(shop: Shop, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = set(pool.map(lambda _: installed("greeting"), range(3)))
    assert len(found) == 1
    assert [str(place / "bin" / "python") for place in environments(tmp_path)] == [found.pop().python]


def test_a_half_made_environment_is_never_used(shop: Shop, tmp_path: Path) -> None:
    """The lock holds the file's hash; another file of the same name is no reason to go on."""
    broken = installed("greeting")
    shutil.rmtree(Path(broken.python).parents[1])
    shutil.rmtree(tmp_path / "cache" / "uv")
    shop.wheel("Greeting", greeting__py="raise SystemExit\n")
    with pytest.raises(UsageError, match=r"cannot install greeting: .*[Hh]ash"):
        installed("greeting")
    assert environments(tmp_path) == []


def test_an_environment_whose_python_is_gone_is_made_anew(shop: Shop) -> None:
    python = Path(installed("friends").python)
    for link in python.parent.glob("python*"):
        link.unlink()
    (python.parent / "python").symlink_to("/nowhere/python")
    assert installed("friends").python == str(python)
    assert python.exists()


# -- nothing of a stranger's runs on the host --------------------------------------------------------------------------


def test_what_would_have_to_be_built_is_refused(shop: Shop, tmp_path: Path) -> None:
    shop.source("built", f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(UsageError, match=r"cannot install built: .*wheel"):
        installed("built")
    assert not (tmp_path / "ran").exists()


def test_no_line_of_a_package_runs_on_the_host(shop: Shop, tmp_path: Path) -> None:
    mark = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    shop.wheel("eager", eager__pth=f"import builtins; {mark}", eager__py=mark, sitecustomize__py=mark)
    with Interpreter(packages=["eager"]) as python:
        assert python.run("1").ok
    assert not (tmp_path / "ran").exists()


def test_settings_in_the_working_directory_are_not_read(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uv.toml").write_text('constraint-dependencies = ["friends>=9"]\n')
    (tmp_path / "pyproject.toml").write_text('[tool.uv]\nconstraint-dependencies = ["friends>=9"]\n')
    monkeypatch.chdir(tmp_path)
    assert installed("friends").modules == ("friends",)


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_a_failed_resolve_is_one_clear_error_before_the_model_is_asked(shop: Shop, tmp_path: Path) -> None:
    model = ScriptedModel("```python\nfinal_answer(1)\n```")
    with pytest.raises(UsageError) as raised:
        CodeAgent(model=model, packages=["greeting", "friends>5"]).run("Begin.")
    said = str(raised.value)
    assert said.startswith("packages: cannot install friends>5: ")
    assert "friends<=1.0" in said or "friends==1.0" in said
    assert "\n" not in said and str(tmp_path) not in said
    assert model.prompts == []
    assert environments(tmp_path) == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("error: No way\n  cause: Because all of:\n      a<1\n    are old.\n    And so on.\n\nhint: Wait.\n",
         "No way; Because all of: a<1 are old. And so on; Wait"),
        ("  × No way:\n  ╰─▶ Because a is not there and you\n      require a, it fails.\n",
         "No way; Because a is not there and you require a, it fails"),
        ("error: failed to open `/tmp/x/requirements.txt`", "failed to open `/requirements.txt`"),
        ("", "uv failed without a word"),
    ],
)  # fmt: skip
def test_what_uv_says_on_many_lines_is_told_on_one(said: str, told: str) -> None:
    asked = [requirement("a"), requirement("b")]
    assert complaint(said, asked, "/tmp/x").partition(": cannot install ")[2].partition(": ")[2] == told


def test_a_password_of_an_index_is_not_shown(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://me:hush@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(UsageError, match=r"127\.0\.0\.1:9") as raised:
        installed("friends")
    assert "hush" not in str(raised.value)


def test_a_cache_that_cannot_be_written_is_told(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="cannot be kept in the cache"):
        installed("friends")


def test_without_uv_the_line_to_type_is_said(tmp_path: Path) -> None:
    """A copy of the library in a place where there is no uv, neither beside Python nor in a checkout."""
    shutil.copytree(Path(library.__file__).parent, tmp_path / "src" / "codeact")
    program = (
        "import sysconfig, sys; from pathlib import Path\n"
        "if Path(sysconfig.get_path('scripts'), 'uv').exists(): sys.exit('beside')\n"
        "from codeact.packages import install\ninstall(['six'], sys.executable, sys.version_info[:3])\n"
    )
    environ = {"PATH": "/nowhere", "PYTHONPATH": str(tmp_path / "src"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environ, check=False)
    if done.stderr.startswith("beside"):
        pytest.skip("a uv is installed beside this Python")
    assert done.stderr.splitlines()[-1].endswith(f"was not found: {sys.executable} -m pip install uv")


# -- the command line --------------------------------------------------------------------------------------------------


def typed(*words: str, home: Path) -> tuple[int, str, str]:
    more = {name: os.environ[name] for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    done = codeact(*words, home=home, **more)
    return done.code, done.out, done.err


def test_with_gives_packages_to_a_command_and_says_once_that_it_fetches(shop: Shop, tmp_path: Path) -> None:
    words = ("exec", "--with", "greeting", "--with", "friends>=1", "-c", "import greeting, friends; greeting.hello()")
    said = "codeact: resolving friends>=1, greeting\ncodeact: installing friends>=1, greeting\n"
    assert typed(*words, home=tmp_path) == (0, "'Ada'\n", said)
    assert typed(*words, home=tmp_path) == (0, "'Ada'\n", "")
    assert typed(*words, "--refresh", home=tmp_path)[2].startswith("codeact: resolving friends>=1, greeting\n")


def test_with_gives_packages_to_a_run(shop: Shop, tmp_path: Path) -> None:
    reply = {"text": "```python\nimport greeting\nfinal_answer(greeting.hello())\n```"}
    (tmp_path / "replies.jsonl").write_text(json.dumps(reply) + "\n")
    words = ("run", "Who?", "--model", "replay:replies.jsonl", "--with", "greeting", "--json")
    code, out, _ = typed(*words, home=tmp_path)
    assert (code, json.loads(out)["output"]) == (0, "Ada")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("exec", "-c", "1", "--with", "absent"), "cannot install absent: "),
        (("exec", "-c", "1", "--with", "-r file"), "not a package: '-r file'"),
        (("exec", "-c", "1", "--refresh"), "--refresh goes with --with PACKAGE"),
        (("run", "mine.py:agent", "x", "--with", "six"), "set packages where mine.py:agent is made"),
    ],
)
def test_a_mistake_ends_with_code_2_before_anything_runs(
    words: tuple[str, ...], says: str, shop: Shop, tmp_path: Path
) -> None:
    code, out, err = typed(*words, home=tmp_path)
    assert (code, out) == (2, "") and says in err and "Traceback" not in err


# -- other Pythons, and the real index ---------------------------------------------------------------------------------

FOLDERS = ("/usr/bin", "/usr/local/bin", str(Path.home() / ".pyenv/versions/*/bin"), "/opt/python3.*/bin")
HERE = f"3.{sys.version_info.minor}"


def python_of(version: str) -> str:
    """A Python of this version on this machine; where there is none, the test counts as not run."""
    for folder in FOLDERS:
        for found in sorted(Path("/").glob(f"{folder}/python{version}".lstrip("/"))):
            return str(found)
    pytest.skip(f"no Python {version} here")


CELLS = [
    ("import sys\n'%d.%d' % sys.version_info[:2]", "'{version}'"),
    ("class A:\n    x: int = 1\n[n * 2 for n in range(3) if A().x]", "[0, 2, 4]"),
    ("import asyncio\nawait asyncio.gather(*(asyncio.sleep(0, n) for n in range(2)))", "[0, 1]"),
    ("import threading\nt = threading.Thread(target=lambda: globals().update(y=5)); t.start(); t.join(); y", "5"),
    ("import json, re, statistics, datetime, decimal, sqlite3\nstatistics.mean([1, 2])", "1.5"),
    ("import greeting\ngreeting.hello()", "'Ada'"),
    ("double(21)", "42"),
]


def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


@pytest.mark.parametrize("version", [one for one in ("3.11", "3.12", "3.13", "3.14") if one != HERE])
def test_packages_and_tools_are_there_under_another_python(version: str, shop: Shop) -> None:
    with Interpreter(python=python_of(version), packages=["greeting"], tools=[double], seconds=4) as python:
        for source, value in CELLS:
            outcome = python.run(source)
            assert (outcome.error, outcome.value) == (None, value.format(version=version))
        failed = python.run("def f():\n    return {}['k']\nf()")
        assert failed.error is not None and failed.error.traceback.count("File ") == 2
        python.set(rows={"a": (1, 2)})
        assert python.run("rows['a']").value == "(1, 2)" and python.get("rows") == {"a": (1, 2)}
        assert python.run("while True: pass").ended == "timeout"
        assert python.run("y").value == "5"
        assert python.run("final_answer({'y': y})").final_answer == {"y": 5}


@pytest.mark.parametrize("version", [one for one in ("3.11", "3.12", "3.13", "3.14") if one != HERE])
def test_a_virtual_environment_of_another_python_is_seen(version: str, tmp_path: Path) -> None:
    place = tmp_path / "other"
    subprocess.run([python_of(version), "-m", "venv", "--without-pip", str(place)], check=True)
    (place / "lib" / f"python{version}" / "site-packages" / "mine.py").write_text("answer = 42\n")
    with Interpreter(python=str(place), imports=["mine"]) as python:
        assert python.run("import mine, sys\nmine.answer, sys.prefix").value == f"(42, {str(place)!r})"


def from_the_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *packages: str) -> Installed:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    try:
        return installed(*packages)
    except UsageError as error:
        if re.search("Failed to fetch|error sending request|Request failed|dns error", str(error)):
            pytest.skip("the package index is not reachable")
        raise


def test_small_packages_of_the_real_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert from_the_index(monkeypatch, tmp_path, "six", "tabulate>=0.9").modules == ("six", "tabulate")
    with Interpreter(packages=["six", "tabulate>=0.9"]) as python:
        outcome = python.run("import six, tabulate\nprint(tabulate.tabulate([[six.PY3]], tablefmt='plain'))")
        assert outcome.stdout == "True\n"


def test_modules_are_named_otherwise_than_their_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = from_the_index(monkeypatch, tmp_path, "PyYAML", "python-dateutil")
    assert found.modules == ("dateutil", "yaml")


async def test_a_loop_that_runs_may_ask_for_packages(shop: Shop) -> None:
    made = await asyncio.to_thread(Interpreter, packages=["friends"])
    async with made as python:
        assert (await python.run("import friends\nfriends.names")).value == "['Ada']"
