"""tools/release.py: what it refuses, and which of its files it takes. A whole release is `make release`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import release


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit that names the version."""
    (tmp_path / "CHANGELOG.md").write_text(f"## {release.version()}\n")
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    return tmp_path


def test_only_what_is_committed(tree: Path) -> None:
    release.check_tree()
    (tree / "new.txt").write_text("x")
    with pytest.raises(release.ReleaseError, match=r"not committed[^$]*new\.txt"):
        release.check_tree()


def test_changelog_names_the_version(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "version", lambda: "7.8.9")
    with pytest.raises(release.ReleaseError, match=r"does not name version 7\.8\.9"):
        release.check_tree()


def test_pythons_that_are_missing_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    found = list(release.interpreters(["python-of-nowhere", sys.executable]))
    assert found == [(".".join(map(str, sys.version_info[:2])), sys.executable)]
    assert "no python-of-nowhere here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "name"),
    [("3.11", "dqnn-1-cp311-cp311-manylinux_2_34_x86_64"), ("3.13", "dqnn-1-cp312-abi3-manylinux_2_34_x86_64")],
)
def test_wheel_for_a_python(tmp_path: Path, number: str, name: str) -> None:
    for stem in (
        "dqnn-1-cp311-cp311-manylinux_2_34_x86_64",
        "dqnn-1-cp312-abi3-manylinux_2_34_aarch64",
        "dqnn-1-cp312-abi3-manylinux_2_34_x86_64",
    ):
        (tmp_path / f"{stem}.whl").touch()
    assert release.wheel_for(number, tmp_path).stem == name


def test_a_wheel_is_not_tried_on_the_tree(tmp_path: Path) -> None:
    """An environment that finds this checkout would prove nothing."""
    with pytest.raises(release.ReleaseError, match="AssertionError"):
        release.smoke(tmp_path / "dqnn.whl", tmp_path, sys.executable)


def test_commands_that_fail_show_what_they_said() -> None:
    with pytest.raises(release.ReleaseError, match="reason 42"):
        release.call(sys.executable, "-c", "import sys; sys.exit('reason 42')")


def test_sums(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.whl").write_bytes(b"abc")
    release.write_sums(tmp_path)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)
    assert "a.whl: 3 B" in capsys.readouterr().out
    (tmp_path / "a.whl").write_bytes(b"abd")
    assert subprocess.run(["sha256sum", "--status", "--check", "SHA256SUMS"], cwd=tmp_path, check=False).returncode
