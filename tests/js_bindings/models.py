"""Models with inputs as files for cases.mjs, and whether what came back is what the host gives, byte for byte."""

from __future__ import annotations

import base64
import json
import subprocess
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from js_bindings.web import opened

import dqnn
from dqnn.exporter.blob import parse

ISAS = ["portable", "winograd"]  # what dqnn.wasm was compiled with
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Model:
    """A file and raw inputs for it, with a batch dimension; details: inner tensors and facts are compared, too."""

    name: str
    blob: bytes
    inputs: Sequence[Any] = ()
    details: bool = False

    def reals(self) -> list[Any]:
        """Float32 values for every input, some of them where codes meet."""
        rng = np.random.default_rng(len(self.blob))
        found = []
        for info in dqnn.Interpreter(self.blob).inputs:
            steps = rng.integers(-300, 300, (4, *info.shape)) / np.float32(2)
            found.append((steps * np.float32(abs(info.scale))).astype(np.float32))
        return found


def write(models: Iterable[Model], folder: Path) -> None:
    """One file for all, as a browser takes long for thousands: list.json says where in models.bin each part lies."""
    listed, parts, end = [], bytearray(), 0
    for model in models:
        reals = model.reals() if model.details else []
        arrays = [np.ascontiguousarray(array).tobytes() for array in (*model.inputs, *reals)]
        places = []
        for part in (model.blob, *arrays):
            places.append([end, end + len(part)])
            parts += part
            end += len(part)
        listed.append({"name": model.name, "inputs": len(model.inputs), "details": model.details, "places": places})
    (folder / "models.bin").write_bytes(parts)
    (folder / "list.json").write_text(json.dumps(listed))


def in_node(node: str, package: Path, folder: Path) -> dict[str, Any]:
    words = [node, HERE / "in_node.mjs", package / "node.js", folder]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return dict(json.loads(done.stdout))


def in_browser(browser: Any, package: Path, folder: Path) -> dict[str, Any]:
    code = """async () => {
      const { runAll } = await import("/tests/cases.mjs");
      const read = async (name) => (await fetch(`/models/${name}`)).arrayBuffer();
      return JSON.stringify(await runAll(await import("/dqnn/dqnn.js"), read));
    }"""
    with opened(browser, {"/tests/": HERE, "/dqnn/": package, "/models/": folder}) as page:
        return dict(json.loads(page.evaluate(code)))


# ---- the host's word ----


def refused(error: dqnn.BlobError) -> dict[str, Any]:
    fields = ("status", "code", "node", "kernel", "tensor", "check", "detail")
    return {"kind": "BlobError", "message": str(error), **{field: getattr(error, field) for field in fields}}


def expected(model: Model) -> dict[str, Any]:
    """What the host makes of it, in the words of cases.mjs."""
    try:
        it = dqnn.Interpreter(model.blob, isas=ISAS)
    except dqnn.BlobError as error:
        return {"error": refused(error)}
    found: dict[str, Any] = {"outputs": outputs(it, list(model.inputs), raw=True)}
    if model.details:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found["reals"] = outputs(it, model.reals(), raw=False)
        found |= {"warnings": [str(warning.message) for warning in said], **inside(it, model)}
    return found


def outputs(it: dqnn.Interpreter, batch: list[Any], *, raw: bool) -> list[str]:
    result = it.predict(batch[0] if len(batch) == 1 else batch, raw=raw)
    return [text(array) for array in (result.values() if isinstance(result, dict) else [result])]


def inside(it: dqnn.Interpreter, model: Model) -> dict[str, Any]:
    for i, array in enumerate(model.inputs):
        it.set_input(i, array[0], raw=True)
    view = parse(model.blob)
    facts = {"name": it.name, "producer": it.producer, "fileBytes": it.file_bytes, "arenaBytes": it.arena_bytes}
    facts |= {"memoryBytes": view.memory_bytes, "modelId": it.model_id, "modelVersion": it.model_version}
    rows = it._native.nodes()
    renamed = {"scratch_offset": "scratchOffset", "scratch_bytes": "scratchBytes"}
    nodes = [{renamed.get(k, k): v for k, v in row.items() if k != "kernel_id"} for row in rows]
    names = ("s1", "s8", "f32")
    tensors = [
        {"shape": list(t["dims"]), "dtype": names[t["dtype"]], "scale": t["scale"], "zeroPoint": t["zero_point"],
         "bytes": t["bytes"], "offset": t["offset"]}
        for t in it._native.tensors()
    ]  # fmt: skip
    return {
        "ports": [str(info) for info in (*it.inputs, *it.outputs)],
        "facts": facts,
        "nodes": nodes,
        "tensors": tensors,
        "trace": [text(value.value) for value in it.trace(raw=True)],
        "traced": [text(value.value) for value in it.trace()],
        "highWater": it.high_water(),
    }


def text(array: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def differing(models: Sequence[Model], found: dict[str, Any]) -> list[str]:
    """Names of models of which something differs, each with what."""
    assert [model.name for model in models] == list(found)
    wrong = []
    for model in models:
        want, got = expected(model), found[model.name]
        keys = [key for key in {**want, **got} if want.get(key) != got.get(key)]
        if keys:
            wrong.append(
                f"{model.name}: {', '.join(keys)}; {str(want.get(keys[0]))[:300]} / {str(got.get(keys[0]))[:300]}"
            )
    return wrong
