"""What a cell draws: figures, images, and whatever knows its own PNG; each once, bounded, and never lost quietly."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Iterator

import PIL.Image
import pytest
from stand_in import Guest

from codeact.guest import png, values, wire

PLOT = "import matplotlib.pyplot as plt\n"


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    with Guest(names=["matplotlib", "PIL", "numpy"]) as guest:
        yield guest


def drawn(done: wire.Done) -> list[bytes]:
    assert done.error is None, done.error[2]
    return [] if done.images is None else values.decode(done.images)


def sizes(done: wire.Done) -> list[tuple[int, int]]:
    return [png.size(data) for data in drawn(done)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plt.plot([1, 2]);", [(640, 480)]),
        ("plt.plot([1, 2])\nplt.show()", [(640, 480)]),
        ("plt.plot([1, 2])\nplt.show()\nplt.plot([2, 1])\nplt.show()", [(640, 480)] * 2),
        ("figure = plt.figure(figsize=(3, 2))\nfigure", [(300, 200)]),
        ("display(plt.figure(figsize=(3, 2)))\nplt.figure(figsize=(1, 1));", [(300, 200), (100, 100)]),
        ("import matplotlib\nmatplotlib.use('Agg')\nplt.figure()\nplt.show()", [(640, 480)]),
        ("from matplotlib.figure import Figure\nFigure(figsize=(2, 2))", [(200, 200)]),
        ("plt.figure()\nplt.close()", []),
        ("for x in range(3):\n    plt.plot(x, x)\n    plt.pause(0.001)", [(640, 480)]),
        ("plt.figure(figsize=(900, 300))\nNone", [(2000, 666)]),
        ("x = 1", []),
    ],
)
def test_a_figure_is_seen_once(guest: Guest, source: str, expected: list[tuple[int, int]]) -> None:
    assert sizes(guest.run(PLOT + source)) == expected
    assert sizes(guest.run("1")) == []
    assert guest.stderr == ""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("PIL.Image.new('RGB', (30, 20))", (30, 20)),
        ("PIL.Image.new('CMYK', (30, 20))", (30, 20)),
        ("PIL.Image.new('F', (30, 20))", (30, 20)),
        ("PIL.Image.new('L', (8000, 2))", (2000, 1)),
        ("display(PIL.Image.new('P', (5, 5)))", (5, 5)),
    ],
)
def test_an_image_is_seen(guest: Guest, source: str, expected: tuple[int, int]) -> None:
    assert sizes(guest.run(f"import PIL.Image\n{source}")) == [expected]


def test_what_is_drawn_is_what_arrives(guest: Guest) -> None:
    [data] = drawn(guest.run("import PIL.Image\nPIL.Image.linear_gradient('L')"))
    with PIL.Image.open(io.BytesIO(data)) as image:
        assert image.tobytes() == PIL.Image.linear_gradient("L").tobytes()


def test_noise_is_drawn_smaller_until_it_fits(guest: Guest) -> None:
    source = "import PIL.Image, random\nPIL.Image.frombytes('RGB', (2000, 2000), random.randbytes(12_000_000))"
    [data] = drawn(guest.run(source))
    assert len(data) <= png.LARGEST and png.size(data) == (1000, 1000)


def test_display_prints_what_is_no_picture_as_it_stands(guest: Guest) -> None:
    done = guest.run("print('first')\ndisplay([1, 'two'], None)\nprint('last')\ndisplay('x' * 9000)")
    assert guest.stdout.startswith("first\n[1, 'two']\nNone\nlast\nstr of 9,000 characters: 'xxx")
    assert len(guest.stdout) < 5000 and drawn(done) == []


def test_a_value_that_is_a_picture_still_has_its_repr(guest: Guest) -> None:
    assert guest.value(f"{PLOT}plt.figure()") == "<Figure size 640x480 with 0 Axes>"


def test_an_object_may_know_its_own_picture(guest: Guest) -> None:
    source = """
    import PIL.Image, io
    class Drawing:
        def __init__(self, data): self.data = data
        def __repr__(self): return "a drawing"
        def _repr_png_(self): return self.data
    file = io.BytesIO()
    PIL.Image.new("L", (7, 7)).save(file, "PNG")
    """
    guest.run("\n".join(line[4:] for line in source.splitlines()))
    assert sizes(guest.run("Drawing(file.getvalue())")) == [(7, 7)]
    assert drawn(guest.run("Drawing(None)")) == []
    done = guest.run("Drawing(b'GIF89a')")
    assert (drawn(done), done.notes) == ([], ["a picture that is no PNG: not kept"])
    assert guest.error("display(Drawing(1 / 0))")[0] == "ZeroDivisionError"


def test_pictures_beyond_the_most_are_counted(guest: Guest) -> None:
    done = guest.run(f"{PLOT}for n in range(11): plt.figure(figsize=(1, 1 + n))")
    assert len(drawn(done)) == png.MOST
    assert done.notes == ["8 pictures are the most of a cell: 3 more were not kept"]
    assert drawn(guest.run("plt.get_fignums()")) == []


def test_a_figure_that_cannot_be_drawn_is_told_and_is_not_met_again(guest: Guest) -> None:
    done = guest.run(PLOT + "plt.title('$\\\\nonsense$')\nNone")
    assert drawn(done) == [] and "a figure could not be drawn: ValueError" in done.notes[0]
    assert guest.run("1").notes == []


def test_a_figure_that_never_comes_to_its_end_is_stopped_and_is_not_met_again(guest: Guest) -> None:
    guest.run(PLOT + "from matplotlib.lines import Line2D\nclass Slow(Line2D):\n    def draw(self, renderer):\n"
              "        print('on', flush=True)\n        while True: pass\n")  # fmt: skip
    guest.start("kept = 1\nplt.gca().add_line(Slow([0, 1], [0, 1]))\nNone")
    while not guest.stdout:
        time.sleep(0.0005)
        guest.drain()
    guest.interrupt()
    done = guest.finish()
    assert (done.ended, done.complete, done.images) == ("interrupted", 3, None)
    after = guest.run("kept")
    assert (after.ended, drawn(after)) == ("done", [])


def test_a_cell_that_fails_or_answers_shows_what_it_drew_before(guest: Guest) -> None:
    failed = guest.run(f"{PLOT}plt.figure(figsize=(1, 1))\n1 / 0")
    assert failed.error is not None and failed.images is not None
    answered = guest.run("plt.figure(figsize=(2, 1))\nfinal_answer('look')")
    assert answered.ended == "final_answer" and sizes(answered) == [(200, 100)]


def test_an_answer_that_leaves_no_room_for_pictures_is_given_without_them(guest: Guest) -> None:
    source = "import PIL.Image, random\nnoise = PIL.Image.frombytes('L', (1500, 1500), random.randbytes(2_250_000))\n"
    done = guest.run(source + "display(noise)\nfinal_answer(bytes(63 << 20))")
    assert (done.ended, done.images) == ("final_answer", None)
    assert done.notes == ["the pictures did not fit beside the answer"]


def test_a_cell_that_broke_its_plotting_library_is_told_so(guest: Guest) -> None:
    with Guest(names=["matplotlib"]) as other:
        done = other.run("import sys\nsys.modules['matplotlib.pyplot'] = None")
        assert done.error is None and "a figure could not be drawn" in done.notes[0]
        assert other.value("6 * 7") == "42"


def test_a_guest_that_draws_nothing_loads_nothing(guest: Guest) -> None:
    with Guest() as other:
        other.run("display(1)")
        assert other.value("import sys\n{'matplotlib', 'PIL', 'numpy'} & {*sys.modules}") == "set()"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def picture(width: int = 2, height: int = 1, *more: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(b"\0\0\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + rows + chunk(b"IEND", b"")


def test_the_size_of_a_picture_is_read_from_its_frame() -> None:
    assert png.size(picture(2, 1)) == (2, 1)
    assert png.size(picture(4096, 4096, chunk(b"tEXt", b"Software\0ours"))) == (4096, 4096)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no PNG"),
        (b"GIF89a" + picture(), "no PNG"),
        (picture()[:8], "not whole"),
        (picture()[:-1], "not whole"),
        (picture() + b"\0", "not whole"),
        (picture().replace(b"IDAT", b"idAT"), "not whole"),
        (picture().replace(b"IHDR", b"IHDX"), "without its header"),
        (picture(0, 1), "0 x 1 pixels"),
        (picture(1, 4097), "1 x 4097 pixels"),
        (picture(2**31, 2**31), "at most 4096 a side"),
        (picture(2, 1, chunk(b"tEXt", bytes(png.LARGEST))), "at most 4,194,304"),
    ],
)
def test_what_is_no_picture_says_why(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        png.size(data)
