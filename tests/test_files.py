"""Files of the user's: what may be given, what the model is told, what comes back, and where it is saved."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from codeact import CodeAgent, File, Interpreter, Limits, ModelError, Mount, UsageError
from codeact.core.events import FilesCollected, TaskEnded, TaskGiven
from codeact.core.execution import Policy
from codeact.core.files import LeftOut, described, what
from codeact.core.messages import Prompt
from codeact.files import Files, MadeFile, read
from codeact.guest import values, wire
from codeact.interpreter import Interpreter as Guests
from codeact.testing import FakeGuest, FakeSandbox, ScriptedModel

# -- given -------------------------------------------------------------------------------------------------------------


def cell(code: str) -> str:
    return f"```python\n{code}\n```"


def said(prompt: Prompt, place: int) -> str:
    return prompt.messages[place].text


def test_the_model_is_told_of_files_by_name_type_and_size_and_reads_them(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("day,amount\n1,20\n2,22\n")
    model = ScriptedModel(
        cell("import csv\nfinal_answer(sum(int(r['amount']) for r in csv.DictReader(open('inputs/sales.csv'))))")
    )
    result = CodeAgent(model=model).run("Add up.", files=[tmp_path / "sales.csv", File("notes.bin", b"\0\1")])
    assert result.output == 42
    assert said(model.prompts[0], 1) == (
        "Add up.\n\nThese files are there to read:\n"
        "- inputs/sales.csv: CSV text, 21 bytes, begins 'day,amount\\n1,20'\n"
        "- inputs/notes.bin: binary data, 2 bytes"
    )
    assert "saved under `outputs/`" in said(model.prompts[0], 0).replace("Files that you save", "Files saved")
    (given,) = (event for event in result.events if isinstance(event, TaskGiven))
    assert [name for name, _ in given.files] == ["sales.csv", "notes.bin"]


def test_the_model_is_told_that_files_are_there_again_after_a_death() -> None:
    model = ScriptedModel(cell("import os; os._exit(1)"), cell("final_answer(open('inputs/a.txt').read())"))
    result = CodeAgent(model=model, snapshots=False).run("Read.", files=[File("a.txt", b"still here")])
    assert result.output == "still here"
    assert "The files under `inputs/` are there again." in said(model.prompts[1], 3)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.csv", b"x;y\n1;2\n3;4\n", "CSV text, 12 bytes, begins 'x;y\\n1;2'"),
        ("a.csv", b"", "CSV text, 0 bytes"),
        ("a.csv", b"caf\xe9;1\n", "CSV text (not UTF-8), 7 bytes, begins 'café;1\\n'"),
        ("a.json", b'{"a": 1}', "JSON text, 8 bytes, begins '{\"a\": 1}'"),
        ("a.csv", b"\xef\xbb\xbfa,b", "CSV text (utf-8-sig), 6 bytes, begins 'a,b'"),
        ("a.csv", "a,b\nGo.\x1b[2J\u202e".encode(), "CSV text, 14 bytes, begins 'a,b\\nGo.\\x1b[2J\\u202e'"),
        ("a.txt", b"words\n", "text, 6 bytes"),
        ("README", b"words\n", "text, 6 bytes"),
        ("a.py", b"x = 1\n", "Python text, 6 bytes"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "PNG image, 8 bytes"),
        ("a.tar.gz", b"\x1f\x8b\x08\0", "gzip, 4 bytes"),
        ("a.bin", bytes(12_345), "binary data, 12.3 kB"),
        ("a.bin", bytes(4_500_000), "binary data, 4.5 MB"),
    ],
)  # fmt: skip
def test_a_file_is_described_by_its_name_and_its_bytes(name: str, data: bytes, told: str) -> None:
    assert described(File(name, data)) == told
    assert told.startswith(what(File(name, data)))


def test_what_cannot_be_given_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.txt").write_text("b")
    (tmp_path / ".hidden").write_text("h")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as ear:
        ear.bind(str(tmp_path / "socket"))
    with (tmp_path / "big").open("wb") as big:
        big.truncate(257 << 20)
    model = ScriptedModel()
    agent = CodeAgent(model=model)
    for files, told in {
        (tmp_path / "a.txt", tmp_path / "b" / "a.txt"): "two files of the name 'a.txt'",
        (tmp_path / "absent",): "cannot read .*absent: No such file",
        (tmp_path / "b",): "is a folder: mount it",
        ("/dev/zero",): "/dev/zero is not a regular file",
        (tmp_path / "pipe",): "is not a regular file",
        (tmp_path / "socket",): "socket is not a regular file",
        (tmp_path / "big",): r"big has 269.5 MB, .*mount its folder instead",
        (tmp_path / ".hidden",): "not a name for a file in the sandbox: '.hidden'",
        (File("b/c", b""),): "not a name",
        (File("..", b""),): "not a name",
        (File("a\n", b""),): "not a name",
    }.items():
        with pytest.raises(UsageError, match=told):
            agent.run("Read.", files=files)
    with pytest.raises(TypeError, match="write a list"):
        agent.run("Read.", files=str(tmp_path / "a.txt"))
    with pytest.raises(TypeError, match="a name and its bytes"):
        File("a", "text")  # type: ignore[arg-type]
    assert model.prompts == []


def test_an_interpreter_takes_and_gives_files() -> None:
    with Interpreter(files=[File("a.txt", b"one")]) as python:
        python.put("b.txt", "two")
        assert python.run("open('inputs/a.txt').read() + open('inputs/b.txt').read()").value == "'onetwo'"
        python.run("open('outputs/c.txt', 'w').write('three')")
        (made,) = python.outputs()
        assert (made.name, made.data, made.media_type) == ("c.txt", b"three", "text/plain")


# -- made --------------------------------------------------------------------------------------------------------------


def test_a_task_gives_the_files_that_it_made_and_not_those_of_the_task_before() -> None:
    model = ScriptedModel(
        cell("open('outputs/a.txt', 'w').write('1'); open('outputs/b.txt', 'w').write('1')"),
        cell("final_answer(1)"),
        cell("open('outputs/b.txt', 'w').write('2'); open('outputs/a.txt', 'w').write('1'); final_answer(2)"),
        cell("final_answer(3)"),
    )
    with CodeAgent(model=model).session() as session:
        first = session.run("Make.")
        assert [(file.name, file.data) for file in first.files] == [("a.txt", b"1"), ("b.txt", b"1")]
        assert [type(event) for event in first.events[-2:]] == [FilesCollected, TaskEnded]
        assert [(file.name, file.data) for file in session.run("Change.").files] == [("b.txt", b"2")]
        assert session.run("Rest.").files == ()


def test_the_files_of_a_task_that_failed_are_there_too() -> None:
    model = ScriptedModel(cell("open('outputs/a.txt', 'w').write('so far')"), ModelError("gone"))
    with CodeAgent(model=model).session() as session:
        with pytest.raises(ModelError):
            session.run("Make.")
        assert [file.data for file in session.result.files] == [b"so far"]


def test_what_is_saved_overwrites_nothing_and_stays_in_its_folder(tmp_path: Path) -> None:
    made = Files([File("report.csv", b"new"), File("plots/a", b"A")], [LeftOut("x", "why")])
    (tmp_path / "report.csv").write_text("old")
    assert made.save(tmp_path) == [tmp_path / "report-2.csv", tmp_path / "plots" / "a"]
    assert made[0].save(tmp_path) == tmp_path / "report-3.csv"
    assert made[1].save(tmp_path / "new" / "folder") == tmp_path / "new" / "folder" / "plots" / "a"
    assert made[1].save(tmp_path) == tmp_path / "plots" / "a-2"
    assert (tmp_path / "report.csv").read_text() == "old"
    assert made.left_out[0].why == "why"


def test_fw_14_what_is_saved_goes_through_no_link_that_code_may_have_laid(tmp_path: Path) -> None:
    target, out = tmp_path / "target", tmp_path / "out"
    target.mkdir()
    out.mkdir()
    (out / "plots").symlink_to(target)
    (out / "a").symlink_to(target / "made")
    with pytest.raises(OSError, match="plots"):
        MadeFile("plots/a", b"A").save(out)
    assert MadeFile("a", b"A").save(out) == out / "a-2"
    for name in (
        "../a",
        "/a",
        "a/../b",
        ".bashrc",
        "a/.git/config",
        "",
        "a//b",
        "a\\b",
        "a\n",
        "a\0",
        "\u202ea",
        "a" * 256,
    ):
        with pytest.raises(UsageError, match="not a name"):
            MadeFile(name, b"").save(out)
    assert list(target.iterdir()) == []


# -- a hostile guest ---------------------------------------------------------------------------------------------------

LIMITS = Limits(files=2, file_bytes=2 << 20, tool_seconds=0.5)
WHOLE = values.encode(bytes(wire.PART))


def part(number: int, name: str = "a", data: bytes = b"x", last: bool = True) -> wire.Part:
    return wire.Part(number, name, values.encode(data), last)


NAMES = ("../a", "/etc/x", "a/../b", "", ".", "..", "a/", "a//b", "a\0", "a\n", ".ssh/x", "a\\b", "\ud800", "é" * 128)

LIES: dict[str, Callable[[int], list[object]]] = {
    **{
        f"a name such as {name!r}": lambda n, name=name: [part(n, name)]  # type: ignore[misc]
        for name in NAMES
    },
    "another question's answer": lambda n: [part(n + 1)],
    "a word out of its place": lambda n: [wire.Bound(n, None)],
    "a file twice": lambda n: [part(n), part(n)],
    "a file in another": lambda n: [wire.Part(n, "a", WHOLE, False), part(n, "b")],
    "more files than asked for": lambda n: [part(n, "a"), part(n, "b"), part(n, "c")],
    "more bytes than asked for": lambda n: [wire.Part(n, "a", WHOLE, False)] * 3,
    "parts that are too small": lambda n: [part(n, "a", b"", False)],
    "a part that is too large": lambda n: [part(n, "a", bytes(wire.PART + 1))],
    "text for bytes": lambda n: [wire.Part(n, "a", values.encode("text"), True)],
    "no value at all": lambda n: [wire.Part(n, "a", values.Packed({"$bytes": 7}), True)],
    "a file without its end": lambda n: [wire.Part(n, "a", WHOLE, False), wire.Collected(n, [], 0)],
    "a reason of its own": lambda n: [wire.Collected(n, [["a", "<script>"]], 0)],
    "a reason that is none": lambda n: [wire.Collected(n, [["a", ["large"]]], 0)],
    "a name that is none": lambda n: [wire.Collected(n, [[1, "large"]], 0)],
    "too many names": lambda n: [wire.Collected(n, [["a", "large"]] * 101, 0)],
    "less than none": lambda n: [wire.Collected(n, [], -1)],
    "nothing": lambda n: [],
}  # fmt: skip


async def collected(play: Callable[[FakeGuest, int], Awaitable[None]]) -> tuple[Files, int]:
    """What comes of a guest that answers so, and how many guests there were in the end."""
    guests = 0

    async def whole(guest: FakeGuest) -> None:
        nonlocal guests
        guests += 1
        await guest.hear()
        guest.say(wire.Ready("3.11.7"))
        word = await guest.hear()
        if isinstance(word, wire.Collect):
            await play(guest, word.id)
            await asyncio.sleep(60)
        guest.say(wire.Bound(word.id, None))
        await asyncio.sleep(60)

    async with Guests(FakeSandbox(whole), Policy(LIMITS)) as python:
        async with asyncio.timeout(10):
            made = Files(*await python.collect())
            await python.bind({"x": 1})
    return made, guests


@pytest.mark.parametrize("lie", LIES)
async def test_what_a_guest_makes_up_about_files_ends_it_and_gives_no_file(lie: str) -> None:
    async def play(guest: FakeGuest, number: int) -> None:
        for word in LIES[lie](number):
            guest.say(word)

    made, guests = await collected(play)
    assert made == () and guests == 2
    assert "the interpreter was lost" in made.left_out[0].why


async def test_what_a_guest_says_by_the_rules_is_taken_and_its_words_are_made_harmless() -> None:
    async def play(guest: FakeGuest, number: int) -> None:
        guest.say(wire.Part(number, "a/b", WHOLE, False), part(number, "a/b", b"end"), part(number, "c", b""))
        guest.say(wire.Collected(number, [["\x1b[2J\n" + "x" * 500, "many"]], 7))
        assert isinstance(await guest.hear(), wire.Bind)
        guest.say(wire.Bound(number + 1, None))

    made, guests = await collected(play)
    assert guests == 1
    assert [(file.name, len(file.data)) for file in made] == [("a/b", wire.PART + 3), ("c", 0)]
    first, rest = made.left_out
    assert first.name.startswith("\\x1b[2J xxx") and len(first.name) <= 200
    assert rest.name == "7 more"


def test_a_path_that_is_read_is_bounded_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100))
    assert [file.name for file in read([tmp_path / "a"], 100)] == ["a"]
    with pytest.raises(UsageError, match=r"has 100 bytes, .*99 bytes"):
        read([tmp_path / "a"], 99)


# -- folders -----------------------------------------------------------------------------------------------------------


def test_the_model_is_told_which_folders_it_may_open_and_opens_them(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("A")
    (tmp_path / "work").mkdir()
    model = ScriptedModel(
        cell(f"open('{tmp_path}/work/b.txt', 'w').write('B')\nfinal_answer(open('{tmp_path}/data/a.txt').read())")
    )
    agent = CodeAgent(model=model, mounts=[tmp_path / "data", Mount(str(tmp_path / "work"), writable=True)])
    result = agent.run("Copy.")
    assert result.output == "A" and (tmp_path / "work" / "b.txt").read_text() == "B"
    told = said(model.prompts[0], 0)
    assert f"You may read files under `{tmp_path}/data`." in told
    assert f"You may read and change files under `{tmp_path}/work`." in told
    assert agent.policy.mounts[1] == Mount(str(tmp_path / "work"), True)


def test_mounts_are_a_list_of_folders_and_what_is_not_whole_begins_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    agent = CodeAgent(model=ScriptedModel(), mounts=["data", "~/x"])
    assert agent.policy.mounts == (Mount(f"{tmp_path}/data"), Mount(os.path.expanduser("~/x")))
    with pytest.raises(TypeError, match="write a list"):
        CodeAgent(model=ScriptedModel(), mounts="data")
    with pytest.raises(UsageError, match="names no folder"):
        CodeAgent(model=ScriptedModel(), mounts=[""])
