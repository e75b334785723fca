"""`dqnn keygen` and `dqnn sign`: what they write, what others make of it, and what they refuse."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import dqnn
from dqnn.exporter.blob import parse
from dqnn.exporter.cli import main
from dqnn.exporter.signing.signature import signature_of

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def exported(digits: Path) -> bytes:
    return dqnn.export(digits / "digits_larq.h5").blob


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: bytes) -> Cli:
    """`cli("sign", ...)` in a directory with model.dqnn, the key key.pem and its public.pem."""
    monkeypatch.chdir(tmp_path)
    Path("model.dqnn").write_bytes(exported)

    def run(*arguments: object, **more: object) -> Result:
        return CliRunner().invoke(main, [str(a) for a in arguments], **more)

    assert run("keygen", "key.pem", "--public", "public.pem").exit_code == 0
    return run


def test_a_signed_file_is_the_same_model(cli: Cli, digits: Path, exported: bytes) -> None:
    result = cli("sign", "model.dqnn", "--key", "key.pem", "-o", "signed.dqnn")
    assert result.exit_code == 0 and f"{len(exported):,} bytes -> {len(exported) + 64:,}" in result.output
    signed, images = Path("signed.dqnn").read_bytes(), np.load(digits / "digits_test.npz")["x"][:3]
    assert dqnn.Interpreter(signed).predict(images).tobytes() == dqnn.Interpreter(exported).predict(images).tobytes()
    before, after = parse(exported), parse(signed)
    assert (before.nodes, before.tensors, before.constants) == (after.nodes, after.tensors, after.constants)
    assert signed[64 : len(exported)] == exported[64:]
    assert "signed: 64 bytes" in cli("inspect", "signed.dqnn").output
    assert "signed" not in cli("inspect", "model.dqnn").output


def test_check(cli: Cli, exported: bytes) -> None:
    assert cli("keygen", "other.pem").exit_code == 0
    assert cli("sign", "model.dqnn", "--key", "key.pem", "-o", "signed.dqnn").exit_code == 0
    for key in ("public.pem", "key.pem"):
        result = cli("sign", "signed.dqnn", "--check", key)
        assert (result.exit_code, result.output) == (0, f"signed.dqnn is signed by the owner of {key}\n")
    assert cli("sign", "signed.dqnn", "--check", "other.pem").exit_code == 1
    assert "is unsigned" in cli("sign", "model.dqnn", "--check", "public.pem").output
    signed = bytearray(Path("signed.dqnn").read_bytes())
    signed[-1] ^= 1
    Path("signed.dqnn").write_bytes(signed)
    result = cli("sign", "signed.dqnn", "--check", "public.pem")
    assert (result.exit_code, result.output) == (1, "signed.dqnn is signed with another key\n")


def test_signing_again_replaces_the_signature(cli: Cli) -> None:
    assert cli("keygen", "other.pem").exit_code == 0
    assert cli("sign", "model.dqnn", "--key", "other.pem", "-o", "first.dqnn").exit_code == 0
    assert cli("sign", "first.dqnn", "--key", "key.pem", "-o", "second.dqnn").exit_code == 0
    assert cli("sign", "model.dqnn", "--key", "key.pem", "-o", "direct.dqnn").exit_code == 0
    assert Path("second.dqnn").read_bytes() == Path("direct.dqnn").read_bytes()


def test_openssl_agrees(cli: Cli, require_tool: Callable[..., str]) -> None:
    """Its keys sign, and it verifies what ours signed."""
    openssl = require_tool("openssl")
    subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", "theirs.pem"], check=True, capture_output=True)
    for key in ("theirs.pem", "key.pem"):
        assert cli("sign", "model.dqnn", "--key", key, "-o", "signed.dqnn").exit_code == 0
        signed = Path("signed.dqnn").read_bytes()
        signature = signature_of(signed)
        assert signature == signed[-64:]
        Path("content").write_bytes(signed[:-64])
        Path("signature").write_bytes(signature)
        verify = ["pkeyutl", "-verify", "-inkey", key, "-rawin", "-in", "content", "-sigfile", "signature"]
        done = subprocess.run([openssl, *verify], capture_output=True, text=True, check=False)
        assert "Verified Successfully" in done.stdout, done


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_is_its_owners_and_never_written_over(cli: Cli) -> None:
    before = Path("key.pem").read_bytes()
    assert stat.S_IMODE(Path("key.pem").stat().st_mode) == 0o600
    result = cli("keygen", "key.pem", "--public", "again.pem")
    assert result.exit_code == 0 and "key.pem is there and is kept; its public key is " in result.output
    assert Path("key.pem").read_bytes() == before
    assert Path("again.pem").read_bytes() == Path("public.pem").read_bytes()


def test_a_header_with_two_keys(cli: Cli) -> None:
    assert cli("keygen", "next.pem", "--public", "next.pub").exit_code == 0
    result = cli("keygen", "key.pem", "--header", "keys.h", "--also", "next.pub")
    written = Path("keys.h").read_text(encoding="utf-8")
    assert "dqnn_key_bytes[2]" in written and "{dqnn_key_bytes, 2}" in written
    public = result.output.split()[-1]
    assert written.replace("0x", "").replace(",", "").replace("\n", "").replace(" ", "").count(public) == 1


def test_an_encrypted_key(cli: Cli) -> None:
    given = {"DQNN_PASSPHRASE": "correct horse"}
    assert cli("keygen", "locked.pem", "--passphrase", env=given).exit_code == 0
    assert b"ENCRYPTED" in Path("locked.pem").read_bytes()
    sign = ("sign", "model.dqnn", "--key", "locked.pem", "-o", "signed.dqnn")
    assert cli(*sign, env=given).exit_code == 0
    assert cli(*sign, input="correct horse\n").exit_code == 0
    result = cli(*sign, env={"DQNN_PASSPHRASE": "wrong"})
    assert result.exit_code == 2 and "locked.pem: wrong passphrase" in result.output
    assert "correct horse" not in result.output


@pytest.mark.damaged
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no PEM file of a key"),
        (b"x" * 100_000, "is no PEM file of a key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key"),
        ("public", "is a public key, with which nothing can be signed"),
        ("rsa", "is no Ed25519 key"),
    ],
)
def test_files_that_hold_no_private_key(cli: Cli, content: bytes | str, message: str) -> None:
    if content == "public":
        content = Path("public.pem").read_bytes()
    elif content == "rsa":
        from cryptography.hazmat.primitives import serialization as s
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        content = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    assert isinstance(content, bytes)
    Path("wrong.pem").write_bytes(content)
    result = cli("sign", "model.dqnn", "--key", "wrong.pem", "-o", "signed.dqnn")
    assert result.exit_code == 2 and message in result.output
    assert not Path("signed.dqnn").exists()


@pytest.mark.damaged
def test_what_cannot_be_signed(cli: Cli) -> None:
    Path("damaged.dqnn").write_bytes(Path("model.dqnn").read_bytes()[:-1])
    result = cli("sign", "damaged.dqnn", "--key", "key.pem", "-o", "signed.dqnn")
    assert result.exit_code == 2 and "damaged.dqnn" in result.output and "truncated" in result.output
    result = cli("sign", "model.dqnn", "--key", "key.pem", "-o", "model.dqnn")
    assert result.exit_code == 2 and "give the output another name" in result.output
    for wrong in (["--key", "key.pem"], [], ["--key", "key.pem", "-o", "x.dqnn", "--check", "key.pem"]):
        result = cli("sign", "model.dqnn", *wrong)
        assert result.exit_code == 2 and "--key KEY -o FILE to sign, or --check KEY" in result.output
