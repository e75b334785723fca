"""Keys: Ed25519 in PEM files (PKCS #8, SubjectPublicKeyInfo), as `openssl genpkey -algorithm ed25519` and imgtool make
them too; and public ones as the constants of a firmware."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DqnnError
from ..files import OutputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NEEDS = "signatures need the package cryptography: pip install 'dqnn[sign]'"
MOST_BYTES = 1 << 16  # of a PEM file
PER_LINE = 8

Ask = Callable[[Path], str]  # for the passphrase of a file


class KeyFileError(DqnnError):
    """A file that holds no key of the kind that is needed."""


def new_key(path: Path, passphrase: str | None = None) -> Ed25519PrivateKey:
    """Makes one and writes it, for its owner's eyes alone. A file that is there is never written over."""
    require()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption(),
    )
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return key


def read_private(path: Path, ask: Ask) -> Ed25519PrivateKey:
    """The key to sign with; `ask` is called if the file is encrypted."""
    require()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    pem = _read(path)
    if b"PUBLIC KEY" in pem:
        raise KeyFileError(f"{path} is a public key, with which nothing can be signed: give the private one")
    encrypted = b"ENCRYPTED" in pem
    try:
        key = serialization.load_pem_private_key(pem, ask(path).encode() if encrypted else None)
    except (ValueError, TypeError, _unsupported()) as error:
        raise KeyFileError(f"{path}: {'wrong passphrase, or ' if encrypted else ''}no private key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} is no Ed25519 key: make one with dqnn keygen")
    return key


def read_public(path: Path, ask: Ask) -> Ed25519PublicKey:
    """The key to check with; also that of a private key's file."""
    require()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    pem = _read(path)
    if b"PRIVATE KEY" in pem:
        return read_private(path, ask).public_key()
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, _unsupported()) as error:
        raise KeyFileError(f"{path}: no public key: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path} is no Ed25519 key: make one with dqnn keygen")
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def raw(key: Ed25519PublicKey) -> bytes:
    """Its 32 bytes."""
    return key.public_bytes_raw()


def c_header(keys: Sequence[Ed25519PublicKey]) -> str:
    """The keys as dqnn_ed25519.h takes them."""
    lines = ["/* Public keys whose owners may sign models. Made by `dqnn keygen --header`. */"]
    lines += ["#ifndef DQNN_KEYS_H", "#define DQNN_KEYS_H", "", '#include "dqnn/dqnn_ed25519.h"', ""]
    lines += [f"static const uint8_t dqnn_key_bytes[{len(keys)}][DQNN_ED25519_KEY_BYTES] = {{"]
    for key in keys:
        content = raw(key)
        rows = [content[at : at + PER_LINE] for at in range(0, len(content), PER_LINE)]
        lines += ["    {" + ",\n     ".join(", ".join(f"0x{byte:02x}" for byte in row) for row in rows) + "},"]
    lines += ["};", f"static dqnn_ed25519_keys dqnn_keys = {{dqnn_key_bytes, {len(keys)}}};", "", "#endif", ""]
    return "\n".join(lines)


def require() -> None:
    try:
        import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401
    except ImportError:
        raise DqnnError(NEEDS) from None


def _unsupported() -> type[Exception]:
    from cryptography.exceptions import UnsupportedAlgorithm

    return UnsupportedAlgorithm


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        pem = file.read(MOST_BYTES + 1)
    if len(pem) > MOST_BYTES or b"-----BEGIN " not in pem:
        raise KeyFileError(f"{path} is no PEM file of a key: make one with dqnn keygen")
    return pem
