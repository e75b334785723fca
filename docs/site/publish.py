"""Adds this version's site to a folder of all versions, to be served as it is: `python docs/site/publish.py FOLDER`.

    FOLDER/0.1.0/       what `make docs` makes, with a list of versions to choose from
    FOLDER/latest/      the newest, for links that stay
    FOLDER/versions.json, index.html    the list, and the way to the newest

The layout is that of mike, whose list the theme reads."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import stage

LATEST = "latest"
REDIRECT = (
    '<!doctype html><meta charset="utf-8"><title>dqnn</title><meta http-equiv="refresh" content="0; url=latest/">\n'
)


def version() -> str:
    sys.path.insert(0, str(stage.ROOT / "tools"))
    import licence_lines

    return licence_lines.version()


def build(folder: Path) -> Path:
    """The site, with the versions' list."""
    stage.stage_all(folder)
    config = folder / "mkdocs.yml"
    text = config.read_text(encoding="utf-8")
    listed = "extra:\n  version: {provider: mike, default: latest}\n"
    config.write_text(text.replace("extra:\n", listed, 1), encoding="utf-8")
    zensical = Path(sys.executable).parent / "zensical"
    subprocess.run([zensical, "build", "--strict", "-f", "mkdocs.yml"], cwd=folder, check=True)
    return folder / "html"


def number(name: str) -> list[int]:
    return [int(part) for part in name.split(".")]


def publish(folder: Path) -> None:
    own, listed = version(), folder / "versions.json"
    known = {row["version"] for row in json.loads(listed.read_text())} if listed.exists() else set()
    newest_first = sorted({*known, own}, key=number, reverse=True)
    with tempfile.TemporaryDirectory() as place:
        html = build(Path(place))
        for name in (own, *([LATEST] if newest_first[0] == own else [])):
            shutil.rmtree(folder / name, ignore_errors=True)
            shutil.copytree(html, folder / name)
    rows = [
        {"version": name, "title": name, "aliases": [LATEST] if name == newest_first[0] else []}
        for name in newest_first
    ]
    listed.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (folder / "index.html").write_text(REDIRECT, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/site/publish.py FOLDER")
    publish(Path(sys.argv[1]))
