"""dqnn: deep quantized neural networks on microcontrollers.

    dqnn-export model.h5 -o model.dqnn

    from dqnn import Interpreter
    interpreter = Interpreter("model.dqnn")
    y = interpreter.predict(x)

Importing the package is fast: what a name needs is loaded when the name is used. Nothing here imports TensorFlow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import callbacks as callbacks
    from . import link as link
    from ._core import BlobError as BlobError
    from .exporter.analyze.analysis import analyze as analyze
    from .exporter.api import ExportResult as ExportResult
    from .exporter.api import export as export
    from .exporter.errors import DqnnError as DqnnError
    from .exporter.errors import ExportError as ExportError
    from .exporter.errors import UnreadableModel as UnreadableModel
    from .exporter.sweep.sweep import sweep as sweep
    from .exporter.validate.validation import validate as validate
    from .interpreter import Interpreter as Interpreter
    from .tensors import TensorInfo as TensorInfo
    from .tensors import pack_s1 as pack_s1
    from .tensors import unpack_s1 as unpack_s1

_WHERE = {
    "BlobError": "_core",
    "DqnnError": "exporter.errors",
    "ExportError": "exporter.errors",
    "ExportResult": "exporter.api",
    "Interpreter": "interpreter",
    "TensorInfo": "tensors",
    "UnreadableModel": "exporter.errors",
    "analyze": "exporter.analyze.analysis",
    "export": "exporter.api",
    "pack_s1": "tensors",
    "sweep": "exporter.sweep.sweep",
    "unpack_s1": "tensors",
    "validate": "exporter.validate.validation",
}
_MODULES = ("callbacks", "link")
__all__ = [
    "BlobError",
    "DqnnError",
    "ExportError",
    "ExportResult",
    "Interpreter",
    "TensorInfo",
    "UnreadableModel",
    "__version__",
    "analyze",
    "callbacks",
    "export",
    "link",
    "pack_s1",
    "sweep",
    "unpack_s1",
    "validate",
]


if not TYPE_CHECKING:  # a type checker shall complain about other names

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f".{name}", __name__)
        if name not in _WHERE:
            raise AttributeError(f"module 'dqnn' has no attribute '{name}'")
        value = getattr(import_module(f".{_WHERE[name]}", __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
