"""Makes the repository's pages a site's: `stage.py [build/site]` writes the pages and mkdocs.yml, of
which `make docs` makes build/site/html.

The pages stay where they are and link each other by their places in the repository, so that they read well there, too.
Here each gets its place on the site, and its links are turned to it; a source file or folder that is linked becomes a
page with its text. The page to try models on gets the npm package, the report's style and two released models."""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RENAMED = {"README.md": "index.md", "js_bindings/README.md": "javascript.md"}
FOLDERS = ("docs", "examples", "interpreter_c", "js_bindings", "schema")
SHOWN = ("interpreter_c/include/dqnn/dqnn.h",)  # source files that are pages though nothing may link them
TRY = {
    **{f"try/{name}.js": f"examples/digits/pad/page/{name}.js" for name in ("drawing", "strokes")},
    **{f"try/models/digits_{name}.dqnn": f"schema/golden/0.1.0/digits_{name}.dqnn" for name in ("larq", "qkeras")},
}
LANGUAGES = {".h": "c", ".c": "c", ".def": "c", ".py": "python", ".cmake": "cmake", ".yml": "yaml", ".json": "json"}
LINK = re.compile(r"(\]\()([^)\s#]*)((?:#[^)\s]*)?\))")
LIST = re.compile(r" *(?:[*+-]|\d+\.) ")


def tracked(folder: str = ".") -> list[str]:
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def pages() -> dict[str, str]:
    """Pages of the repository by where they are there: where they are on the site."""
    own = "docs/site/pages/"
    found = {}
    for name in tracked():
        if name.endswith(".md") and (name.split("/")[0] in FOLDERS or "/" not in name):
            found[name] = RENAMED.get(
                name, name.removeprefix(own) if name.startswith(own) else name.removeprefix("docs/")
            )
    return found


# ---- texts ----


def lines(text: str) -> Iterator[tuple[str, bool]]:
    """Lines, each with whether it is code."""
    fenced = False
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        yield line, fenced or fence or line.startswith("    ")
        fenced ^= fence


def spaced(text: str) -> str:
    """With the empty line in front of a list that Python's Markdown wants and GitHub's does not."""
    found: list[str] = []
    for line, code in lines(text):
        before = found[-1] if found else ""
        if not code and LIST.match(line) and before.strip() and not LIST.match(before) and not before.startswith(" "):
            found.append("")
        found.append(line)
    return "\n".join(found) + "\n"


class Texts:
    """Every page's text with its links turned, and the source pages that they ask for."""

    def __init__(self) -> None:
        self.places = pages()
        self.sources = {name: f"source/{name}.md" for name in SHOWN}
        self.images: set[str] = set()

    def turned(self, name: str) -> str:
        here = posixpath.dirname(self.places[name])

        def link(match: re.Match[str]) -> str:
            before, target, after = match.groups()
            if not target or "://" in target or target.startswith("mailto:"):
                return match[0]
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            return f"{before}{posixpath.relpath(self.place_of(path), here or '.')}{after}"

        text = (ROOT / name).read_text(encoding="utf-8")
        return "\n".join(line if code else LINK.sub(link, line) for line, code in lines(spaced(text)))

    def place_of(self, path: str) -> str:
        """Of what a link in the repository leads to, on the site."""
        own = "docs/site/pages/"
        if path in self.places:
            return self.places[path]
        if path.startswith(own):
            return path.removeprefix(own)
        if path.endswith((".png", ".svg")):
            self.images.add(path)
            return path.removeprefix("docs/")
        return self.sources.setdefault(path, f"source/{path}.md")


def source_page(path: str) -> str:
    """A file as a page; of a folder its files, with the text of its own page where it has one."""
    file = ROOT / path
    if file.is_dir():
        listed = "\n".join(f"* `{name}`" for name in tracked(path))
        return f"# {path}/\n\nA folder of the repository:\n\n{listed}\n"
    return f"# {path}\n\n```{LANGUAGES.get(file.suffix, 'text')}\n{file.read_text(encoding='utf-8')}\n```\n"


# ---- what is written ----


def package(folder: Path) -> None:
    """Where mkdocstrings finds dqnn: exporter and schema stand elsewhere in the repository than when installed."""
    for part, source in {"": "python_bindings/dqnn", "exporter": "exporter", "schema": "schema/generated"}.items():
        left_out = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(ROOT / source, folder / "dqnn" / part, ignore=left_out, dirs_exist_ok=True)


def browser_package() -> dict[str, str]:
    """The npm package beside the page that uses it."""
    if not (ROOT / "js_bindings" / "dqnn.wasm").exists():
        raise SystemExit("js_bindings/dqnn.wasm is missing: js_bindings/build.sh makes it")
    names = ["dqnn.js", "dqnn.wasm", *(f"lib/{path.name}" for path in (ROOT / "js_bindings" / "lib").glob("*.js"))]
    return {f"try/dqnn/{name}": f"js_bindings/{name}" for name in names}


def report_style() -> str:
    """The style of `dqnn analyze --html`, which the page to try models on shares."""
    template = ROOT / "exporter" / "analyze" / "templates" / "report.html.j2"
    found = re.search(r"<style>\n(.*?)</style>", template.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def stage(folder: Path) -> None:
    own, texts = ROOT / "docs" / "site" / "pages", Texts()
    written: dict[str, str] = {place: texts.turned(name) for name, place in texts.places.items()}
    written |= {place: source_page(path) for path, place in texts.sources.items()}
    written["try/report.css"] = report_style()
    copied = {
        path.relative_to(own).as_posix(): path for path in own.rglob("*") if path.suffix != ".md" and path.is_file()
    }
    copied |= {place: ROOT / path for place, path in {**TRY, **browser_package()}.items()}
    copied |= {path.removeprefix("docs/"): ROOT / path for path in texts.images}
    for place in (*written, *copied):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
    for place, text in written.items():
        (folder / place).write_text(text, encoding="utf-8")
    for place, path in copied.items():
        shutil.copyfile(path, folder / place)


def stage_all(build: Path) -> None:
    shutil.rmtree(build, ignore_errors=True)
    package(build / "python")
    stage(build / "pages")
    shutil.copy(ROOT / "docs" / "site" / "mkdocs.yml", build)


if __name__ == "__main__":
    stage_all(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site")
