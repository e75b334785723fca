"""What the pages show works: models of README and getting-started export and run, C code compiles, links lead
somewhere."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def model_blocks() -> list[tuple[str, str]]:
    pages = [ROOT / "README.md", ROOT / "docs" / "getting-started.md"]
    found = [(page.name, block) for page in pages for block in blocks(page, "python") if "Sequential" in block]
    assert len(found) == 4  # Larq and QKeras on both pages
    return found


@pytest.mark.tf
@pytest.mark.parametrize(("page", "code"), model_blocks(), ids=["readme-0", "readme-1", "started-0", "started-1"])
def test_models_on_the_pages_export_and_agree_with_keras(page: str, code: str) -> None:
    import tensorflow as tf

    from dqnn import Interpreter, export

    names: dict[str, Any] = {"tf": tf}
    exec(re.sub(r"^model\.save.*$", "", code, flags=re.MULTILINE), names)
    model = names["model"]
    x = np.random.default_rng(0).integers(-128, 128, (4, 28, 28, 1)).astype(np.float32) / 128
    ours = Interpreter(export(model).blob).predict(x)
    np.testing.assert_allclose(ours, model.predict(x, verbose=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("page", ["README.md", "docs/c-api.md"])
def test_c_on_the_pages_compiles(repo: Path, tmp_path: Path, page: str, require_tool: Callable[[str], str]) -> None:
    for code in blocks(repo / page, "c"):
        head, _, statements = code.partition("static _Alignas(16)")
        if "int classify" not in code:  # statements of a function body
            head += "void f(const void *model, size_t model_size) {\n"
            statements += "}\n"
        source = tmp_path / "page.c"
        source.write_text(f"#include <string.h>\n{head}static _Alignas(16){statements}")
        command = [require_tool("gcc"), "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
        subprocess.run([*command, "-I", repo / "interpreter_c" / "include", source], check=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
