"""The page and its requests (aiohttp). It listens to this machine alone, and only to its own page: other sites that a
browser shows can neither send what is no form nor name this host."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from device import SIDE, Pad, PadError

from dqnn.link import LinkError

PAGE = Path(__file__).parent / "page"
HOSTS = {"127.0.0.1", "localhost"}
MOST_FILE_BYTES = 1 << 24
BYTES = "application/octet-stream"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PAD: web.AppKey[Pad] = web.AppKey("pad", Pad)


def make_app(pad: Pad) -> web.Application:
    app = web.Application(middlewares=[own_page, refusals], client_max_size=MOST_FILE_BYTES)
    app[PAD] = pad
    app.router.add_get("/", index)
    app.router.add_get("/api/state", state)
    app.router.add_get("/api/progress", progress)
    app.router.add_post("/api/image", image)
    app.router.add_post("/api/model", model)
    app.router.add_post("/api/confirm", confirm)
    app.router.add_post("/api/rollback", rollback)
    app.router.add_static("/", PAGE)
    return app


@web.middleware
async def own_page(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.url.host not in HOSTS or (request.method == "POST" and request.content_type != BYTES):
        raise web.HTTPForbidden(text="for the page of the digit pad alone")
    response = await handler(request)
    response.headers["Content-Security-Policy"] = "default-src 'self'"
    response.headers["Cache-Control"] = "no-store"
    return response


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What model or device say no to, for people."""
    try:
        return await handler(request)
    except PadError as error:
        return web.json_response({"error": str(error)}, status=422)
    except LinkError as error:
        return web.json_response({"error": str(error)}, status=502)


async def answer(function: Callable[..., dict[str, Any]], *arguments: Any) -> web.Response:
    """The device takes its time: in a thread."""
    return web.json_response(await asyncio.to_thread(function, *arguments))


async def index(_: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE / "index.html")


async def state(request: web.Request) -> web.Response:
    return await answer(request.app[PAD].state)


async def progress(request: web.Request) -> web.Response:
    return web.json_response({"uploaded": request.app[PAD].uploaded})


async def image(request: web.Request) -> web.Response:
    pixels = await request.read()
    if len(pixels) != SIDE * SIDE:
        raise PadError(f"an image has {SIDE * SIDE} bytes, these are {len(pixels)}")
    return await answer(request.app[PAD].classify, pixels)


async def model(request: web.Request) -> web.Response:
    return await answer(request.app[PAD].load, await request.read())


async def confirm(request: web.Request) -> web.Response:
    return await answer(request.app[PAD].confirm)


async def rollback(request: web.Request) -> web.Response:
    return await answer(request.app[PAD].rollback)
