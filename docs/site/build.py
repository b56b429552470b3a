"""The pages as a site: `./run docs`. Nothing is fetched, and the pages that are built fetch nothing from elsewhere.

README.md, SECURITY.md, CONTRIBUTING.md, docs/*.md    as they are, with their links turned
examples/*.py                                         one page, with all of their code
codeact.__all__, the public modules, --help           drawn from the code (reference.py)
                       |
                a folder of its own, with zensical.toml  ->  zensical  ->  site/
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

import reference  # noqa: E402  # it lies beside this program

TOP = {"README.md": "index.md", "SECURITY.md": "security.md", "CONTRIBUTING.md": "contributing.md"}
POLICY = "default-src 'self' file: data: blob: 'unsafe-inline'; object-src 'none'; form-action 'none'"
_FENCE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"^<!--.*?-->\n", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")


def main() -> int:
    """Build into a folder, the one given or `site`; the exit code of the generator where it did not come to an end."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site"
    with tempfile.TemporaryDirectory(prefix="codeact-docs-") as folder:
        work = Path(folder)
        lay_out(work)
        words = [
            Path(sys.executable).with_name("zensical"),
            "build",
            "--clean",
            "--config-file",
            work / "zensical.toml",
        ]
        done = subprocess.run(words, cwd=work, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
            return done.returncode
        for page in (work / "site").rglob("*.html"):
            page.write_text(closed(page.read_text(encoding="utf-8")), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(work / "site", target)
    print(f"{target}/index.html   (python3 -m http.server --bind 127.0.0.1 --directory {target}   has the search, too)")
    return 0


def lay_out(work: Path) -> None:
    """Everything that the generator reads, in one folder."""
    pages = work / "pages"
    pages.mkdir()
    for name, new in TOP.items():
        (pages / new).write_text(turned((ROOT / name).read_text(encoding="utf-8")), encoding="utf-8")
    for page in sorted((ROOT / "docs").glob("*.md")):
        (pages / page.name).write_text(turned(page.read_text(encoding="utf-8")), encoding="utf-8")
    for beside in [*(ROOT / "docs").glob("*.svg"), *HERE.glob("*.svg"), *HERE.glob("*.css")]:
        shutil.copy(beside, pages)
    for name, text in reference.pages(ROOT).items():
        (pages / name).write_text(text, encoding="utf-8")
    (work / "zensical.toml").write_text(navigated((HERE / "zensical.toml").read_text(encoding="utf-8"), pages))


def navigated(settings: str, pages: Path) -> str:
    """The settings with every page in the navigation: one that they do not name is the last under its heading there."""
    rest = [page for page in sorted(pages.glob("*.md")) if f'"{page.name}"' not in settings]
    titles = [page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for page in rest]
    rows = "".join(f'    {{ "{title}" = "{page.name}" }},\n' for title, page in zip(titles, rest, strict=True))
    return settings.replace("    # all others\n", rows)


def turned(text: str) -> str:
    """A page as the site has it: what stands between its blocks of code is turned, the blocks stay as they are."""
    pieces, end = [], 0
    text = _COMMENT.sub("", text)
    for fence in _FENCE.finditer(text):
        pieces += [prose(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*pieces, prose(text[end:])])


def prose(text: str) -> str:
    """Links lead to where their pages stand on the site."""
    return _LINK.sub(lambda link: f"]({there(link[1])}{link[2] or ''})", text)


def there(target: str) -> str:
    """Where a path of the checkout is on the site: all pages lie in one folder there."""
    if not target or ":" in target:
        return target
    name = Path(target).name
    if name.startswith("examples") or "examples/" in target:
        return "examples.md"
    return TOP.get(name, name)


def closed(page: str) -> str:
    """A page whose browser is told to load nothing from elsewhere, whatever a script of the theme might ask for."""
    return page.replace("<head>", f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">', 1)


if __name__ == "__main__":
    sys.exit(main())
