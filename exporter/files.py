"""Files that are written: looked at before the work, there in full after it or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from .errors import DqnnError


class OutputError(DqnnError):
    """The output file cannot be written."""


def check_writable(path: Path, *read: Any) -> None:
    """Finds out before the work what would fail after it, or would cost one of the files that are read: OutputError."""
    for source in read:
        if isinstance(source, str | os.PathLike) and path.is_file() and _is_same(path, Path(source)):
            already = ", or the model it was made from: it is a .dqnn file already" if path.suffix == ".dqnn" else ""
            raise OutputError(f"{path} is the model or data to be read; give the output another name{already}")
    if path.is_dir():
        raise OutputError(f"{path} is a directory; give the name of a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} is no directory; make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write in {path.parent}")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # there is no such file, or it cannot be the name of one
        return False


def write_atomically(path: Path, content: bytes) -> None:
    """The file is there in full, or not at all; an existing one is replaced in one step and keeps its permissions. What
    a link leads to is replaced, not the link; what is no file (/dev/null, a pipe) is written to."""
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        path = path.resolve()
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink()
        if isinstance(error, OSError):
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
