"""A folder in headless Chromium, served by routes of the browser itself: no server, no port."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

mimetypes.add_type("application/wasm", ".wasm")
mimetypes.add_type("text/javascript", ".mjs")
ADDRESS = "http://dqnn.test"


def answer(route: Any, folders: Mapping[str, Path]) -> None:
    path = unquote(urlsplit(route.request.url).path)
    for prefix, folder in folders.items():
        file = folder / path.removeprefix(prefix)
        if path.startswith(prefix):
            file = file / "index.html" if file.is_dir() else file
            if file.is_file():
                kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
                route.fulfill(status=200, body=file.read_bytes(), content_type=kind)
                return
    if path == "/empty.html":
        route.fulfill(status=200, body="<!doctype html><title>empty</title>", content_type="text/html")
        return
    route.fulfill(status=404, body="not found")


@contextmanager
def opened(browser: Any, folders: Mapping[str, Path], path: str = "/empty.html", **options: Any) -> Iterator[Any]:
    """A page of the folders, each at its prefix. Nothing else is reached; what the page complains of is an error."""
    context = browser.new_context(**options)
    context.route("**/*", lambda route: answer(route, folders))
    page, said = context.new_page(), []
    page.on("console", lambda message: message.type == "error" and said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    try:
        page.goto(ADDRESS + path)
        yield page
    finally:
        context.close()
    assert said == []
