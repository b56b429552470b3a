"""Files in and files out, at both levels: copies, by value, of regular files and of nothing else."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from canaries import Canaries
from sessions import FREE, LEVELS, session_at

from codeact.cells import Cells
from codeact.core.errors import UsageError
from codeact.core.execution import Limits, Policy
from codeact.core.files import File
from codeact.files import read
from codeact.sandboxes.unconfined import Unconfined, UnconfinedWarning


async def value(cells: Cells, code: str) -> Any:
    outcome = await cells.run(code)
    assert outcome.ok, outcome.error and outcome.error.traceback
    return outcome.value


async def test_a_file_is_there_to_read_and_the_original_is_never_touched(level: str, tmp_path: Path) -> None:
    original = tmp_path / "rows.csv"
    original.write_bytes(b"a,b\n" * 600_000)  # longer than one part
    before = original.stat()
    async with Cells(LEVELS[level], FREE, files=read([original], 1 << 28)) as cells:
        assert await value(cells, "len(open('inputs/rows.csv').read())") == "2400000"
        assert "PermissionError" in str(await cells.run("open('inputs/rows.csv', 'w')"))
        await cells.run("import os; os.rename('inputs/rows.csv', 'inputs/gone')")
    assert (original.stat().st_mtime_ns, original.stat().st_size) == (before.st_mtime_ns, before.st_size)


async def test_files_are_there_again_in_the_interpreter_that_takes_the_place_of_a_dead_one(level: str) -> None:
    async with Cells(LEVELS[level], FREE, files=[File("a.txt", b"first")]) as cells:
        await cells.put("b.txt", "second")
        await cells.put("a.txt", "third, in its place")
        assert not (await cells.run("import os; os._exit(1)")).kept
        assert await value(cells, "open('inputs/a.txt').read() + open('inputs/b.txt').read()") == repr(
            "third, in its placesecond"
        )


async def test_what_code_saves_comes_out_and_what_is_no_file_is_told(level: str) -> None:
    async with Cells(LEVELS[level], FREE) as cells:
        assert await cells.outputs() == ()
        await value(
            cells, "import os; os.makedirs('outputs/plots/deep'); open('outputs/plots/deep/a.txt', 'w').write('A')"
        )
        await value(cells, "open('outputs/empty', 'w').close(); os.symlink('/etc/passwd', 'outputs/link')")
        await value(cells, "open('outputs/.profile', 'w').close(); open('outputs/two\\nlines', 'w').close()")
        made = await cells.outputs()
        assert [(file.name, file.data) for file in made] == [("empty", b""), ("plots/deep/a.txt", b"A")]
        assert [one.name for one in made.left_out] == [".profile", "link", "two lines"]
        assert "link" in made.left_out[1].why


async def test_the_bounds_of_number_and_bytes_hold_and_what_is_beyond_them_is_told(level: str) -> None:
    policy = Policy(Limits(files=2, file_bytes=3 << 20))
    async with Cells(LEVELS[level], policy) as cells:
        await value(
            cells, "for n, size in enumerate((2, 9, 1, 0)): open(f'outputs/{n}', 'w').write('x' * (size << 20))"
        )
        made = await cells.outputs()
    assert [(file.name, len(file.data) >> 20) for file in made] == [("0", 2), ("2", 1)]
    assert [(one.name, one.why[:10]) for one in made.left_out] == [("1", "there is n"), ("3", "there are ")]


async def test_a_file_that_does_not_fit_into_the_scratch_is_an_error_with_its_name(level: str) -> None:
    async with Cells(LEVELS["full"] if level == "full" else LEVELS["plain"], Policy(Limits(scratch=4 << 20))) as cells:
        if level == "full":  # at `plain` the bound is kept by looking, and ends the session
            await value(cells, "open('mine', 'wb').write(bytes(3 << 20)); None")
            with pytest.raises(UsageError, match=r"big\.bin cannot be put into the sandbox: No space left"):
                await cells.put("big.bin", bytes(2 << 20))
        with pytest.raises(UsageError, match=r"big.bin has 5.2 MB, .*mount its folder instead"):
            await cells.put("big.bin", bytes(5 << 20))


SWAPS = """
import os, threading
swaps, stop = 0, threading.Event()
def swap():
    global swaps
    os.makedirs("outputs/folder", exist_ok=True)
    while not stop.is_set():
        for place in ("outputs/file", "outputs/folder/file"):
            open("new", "w").write("mine" * (swaps % 1000))
            os.rename("new", place)
            os.truncate(place, 2)
            os.symlink({secret!r}, "new")
            os.rename("new", place)
        os.rename("outputs/folder", "outputs/other")
        os.symlink({folder!r}, "outputs/folder")
        os.unlink("outputs/folder")
        os.rename("outputs/other", "outputs/folder")
        swaps += 1
threading.Thread(target=swap, daemon=True).start()
"""


async def test_fw_14_a_file_that_is_swapped_for_a_link_while_it_is_collected_never_gives_the_hosts_bytes(
    level: str, host: Canaries
) -> None:
    async with session_at(level, host) as session:
        cells = session.cells
        await value(cells, SWAPS.format(secret=str(host.file), folder=str(host.folder)))
        seen = set()
        while int(await value(cells, "swaps")) < 1000:
            for file in await cells.outputs():
                assert host.secret.encode() not in file.data
                seen.add(file.data[:2])
        await cells.run("stop.set()")
    assert seen <= {b"", b"\0\0", b"mi"}


async def test_fw_15_an_archive_comes_out_as_one_file_that_nobody_unpacks(level: str, tmp_path: Path) -> None:
    code = """
import io, tarfile, zipfile
with zipfile.ZipFile("outputs/a.zip", "w") as archive:
    archive.writestr("../escaped", "x"); archive.writestr("/absolute", "x")
    archive.writestr("bomb", bytes(50 << 20), zipfile.ZIP_DEFLATED)
with tarfile.open("outputs/a.tar", "w") as archive:
    link = tarfile.TarInfo("link"); link.type, link.linkname = tarfile.SYMTYPE, "/etc"; archive.addfile(link)
    archive.addfile(tarfile.TarInfo("link/through")); archive.addfile(tarfile.TarInfo("../escaped"))
"""
    async with Cells(LEVELS[level], FREE) as cells:
        await value(cells, code)
        made = await cells.outputs()
    assert [file.name for file in made] == ["a.tar", "a.zip"]
    assert sorted(path.name for path in made.save(tmp_path / "out")) == ["a.tar", "a.zip"]
    assert [(place, len(files)) for place, _, files in os.walk(tmp_path)] == [
        (str(tmp_path), 0),
        (f"{tmp_path}/out", 2),
    ]
    with tarfile.open(fileobj=io.BytesIO(made[0].data)) as archive:
        assert archive.getnames() == ["link", "link/through", "../escaped"]
    assert "../escaped" in zipfile.ZipFile(io.BytesIO(made[1].data)).namelist()


async def test_a_guest_whose_folders_are_broken_says_so_and_lives_on(level: str) -> None:
    async with Cells(LEVELS[level], FREE) as cells:
        await value(cells, "import os; os.rmdir('outputs'); os.symlink('/', 'outputs'); os.symlink('/', 'inputs')")
        made = await cells.outputs()
        assert made == () and made.left_out[0].name == "outputs"
        with pytest.raises(UsageError, match=r"a\.txt cannot be put"):
            await cells.put("a.txt", "x")
        assert await value(cells, "6 * 7") == "42"


async def test_the_other_walls_carry_files_too_and_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.warns(UnconfinedWarning):
        async with Cells(Unconfined(), FREE, files=[File("a.txt", b"x" * 3_000_000)]) as cells:
            await value(cells, "open('outputs/b.txt', 'w').write(open('inputs/a.txt').read())")
            (made,) = await cells.outputs()
            assert (made.name, len(made.data)) == ("b.txt", 3_000_000)
    assert [name for name in os.listdir(tmp_path) if name.startswith("codeact-")] == []
