"""The npm package: complete, packed, installed in a bare directory, typed, and built to the same bytes anywhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import licence_lines
import numpy as np
import pytest

import dqnn

Tool: TypeAlias = Callable[..., str]
HERE = Path(__file__).parent
FILES = {
    "LICENSE", "README.md", "dqnn.d.ts", "dqnn.js", "dqnn.wasm", "lib/errors.js", "lib/interpreter.js", "lib/module.js",
    "lib/ranges.js", "lib/source.js", "lib/tensors.js", "lib/text.js", "node.js", "package.json",
}  # fmt: skip
MOST_BYTES = 220_000  # of dqnn.wasm


def call(*words: str | Path, cwd: Path, **variables: str) -> str:
    environment = {**os.environ, "npm_config_update_notifier": "false", **variables}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(package: Path, require_tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with nothing but the packed package, installed."""
    npm, folder = require_tool("npm"), tmp_path_factory.mktemp("bare")
    (packed,) = json.loads(call(npm, "pack", "--silent", "--json", f"--pack-destination={folder}", cwd=package))
    assert {file["path"] for file in packed["files"]} == FILES
    (folder / "package.json").write_text('{"name": "bare", "private": true, "type": "module"}')
    options = ["--offline", "--no-audit", "--no-fund", "--silent"]
    call(npm, "install", *options, folder / packed["filename"], cwd=folder)
    return folder


def test_it_has_the_version_of_everything(package: Path) -> None:
    assert json.loads((package / "package.json").read_text())["version"] == licence_lines.version()


def test_the_readmes_program_runs_where_it_is_installed(
    installed: Path, package: Path, node: str, repo: Path, digits: Path
) -> None:
    (code,) = re.findall(r"```js\n(.*?)```", (package / "README.md").read_text(), re.DOTALL)
    shutil.copy(repo / "schema" / "golden" / "0.1.0" / "digits_larq.dqnn", installed / "model.dqnn")
    images = np.load(digits / "digits_test.npz")["x"][:3].astype("<f4")
    images.tofile(installed / "images.bin")
    reads = 'import { readFileSync } from "node:fs";\nconst { buffer } = new Uint8Array(readFileSync("images.bin"));\n'
    given = "const images = new Float32Array(buffer);\nconst image = images.subarray(0, 784);\n"
    (installed / "main.js").write_text(reads + given + code + "console.log(JSON.stringify(Array.from(scores)));\n")
    said = call(node, "main.js", cwd=installed).splitlines()[-1]
    wanted = dqnn.Interpreter(installed / "model.dqnn").predict(images)
    assert np.float32(json.loads(said)).tobytes() == np.asarray(wanted).tobytes()


def test_types(installed: Path, require_tool: Tool) -> None:
    tsc = require_tool("tsc")
    shutil.copy(HERE / "usage.ts", installed / "usage.ts")
    options = {"strict": True, "noEmit": True, "target": "es2022", "module": "node16", "moduleResolution": "node16"}
    config = {"compilerOptions": {**options, "lib": ["es2022", "dom"], "types": []}, "files": ["usage.ts"]}
    (installed / "tsconfig.json").write_text(json.dumps(config))
    call(tsc, "-p", ".", cwd=installed)


def test_types_name_what_there_is(package: Path, node: str) -> None:
    """Exports, and public members of classes: those of a loaded model, too."""
    text = (package / "dqnn.d.ts").read_text()
    code = """
    const dqnn = await import(process.argv[1]);
    const it = await dqnn.Interpreter.open(process.argv[2]);
    const own = (of) => [...Object.keys(of), ...Object.getOwnPropertyNames(Object.getPrototypeOf(of))];
    const classes = { Interpreter: own(it), TensorInfo: own(it.inputs[0]) };
    console.log(JSON.stringify({ exports: Object.keys(dqnn), ...classes }));
    """
    golden = package.parent / "schema" / "golden" / "0.1.0" / "digits_larq.dqnn"
    words = [node, "--input-type=module", "-e", code, "--", str(package / "node.js"), str(golden)]
    found = json.loads(call(*words, cwd=package))
    assert set(re.findall(r"^export (?:class|function) (\w+)", text, re.MULTILINE)) == set(found["exports"])
    for name in ("Interpreter", "TensorInfo"):
        body = re.search(rf"^export class {name} \{{\n(.*?)^\}}", text, re.MULTILINE | re.DOTALL)
        assert body is not None
        members = re.findall(r"^  (?:readonly |get )?(\w+)(?:\(|:)", body[1], re.MULTILINE)
        assert set(members) == set(found[name]) - {"constructor"}


def test_behaviour(package: Path, node: str, repo: Path) -> None:
    call(node, "--test", HERE / "api.test.mjs", cwd=HERE, DQNN_PACKAGE=str(package), DQNN_REPOSITORY=str(repo))


def test_bytes_do_not_depend_on_the_place(package: Path, repo: Path) -> None:
    """No path got in; a build elsewhere, which takes as long as all tests here, was compared by hand."""
    module = (package / "dqnn.wasm").read_bytes()
    assert str(repo).encode() not in module and b".c\0" not in module


def test_the_module_is_small_and_asks_for_nothing_but_its_hook(package: Path, node: str) -> None:
    assert len((package / "dqnn.wasm").read_bytes()) <= MOST_BYTES
    code = """
    const module = new WebAssembly.Module(require("node:fs").readFileSync("dqnn.wasm"));
    console.log(JSON.stringify(WebAssembly.Module.imports(module)));
    """
    imports: list[dict[str, Any]] = json.loads(call(node, "-e", code, cwd=package))
    assert imports == [{"module": "dqnn", "name": "on_node", "kind": "function"}]
