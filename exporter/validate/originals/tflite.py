"""TensorFlow Lite with its reference kernels, whose bytes ours must be; from TensorFlow, or from ai-edge-litert, which
carries it on. Native code that verifies little of a file: in a process of its own, and asked only for files that our
reader accepts."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from .child import Child

PACKAGES = ("ai_edge_litert", "tensorflow")


def is_installed() -> bool:
    return any(importlib.util.find_spec(name) is not None for name in PACKAGES)


def tflite_file(path: Path) -> Child:
    """A .tflite file, run by tflite_process."""
    return Child(path, "tflite_process", "TensorFlow Lite")
