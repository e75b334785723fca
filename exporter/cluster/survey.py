"""What a worker has, asked before the work. Sent as code (cloudpickle by value), for workers that have no dqnn: nothing
here may need more than Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def survey(paths: Iterable[str]) -> dict[str, Any]:
    """The version of dqnn, or why there is none; bytes of each file (0 of a folder), None where it cannot be read."""
    import os

    try:
        from dqnn import _core, _version  # noqa: F401

        version, lacking = str(_version.__version__), ""
    except Exception as error:
        version, lacking = "", f"{type(error).__name__}: {error}"
    files = {}
    for path in paths:
        seen = os.access(path, os.R_OK)
        files[path] = None if not seen else 0 if os.path.isdir(path) else os.path.getsize(path)  # noqa: PTH112, PTH202
    return {"version": version, "lacking": lacking, "files": files}
