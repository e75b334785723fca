"""The device's check of a signature (interpreter_c/ed25519) against vectors of RFC 8032, and against OpenSSL by way of
the package cryptography."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

Check = Callable[..., bool]

ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group
# RFC 8032, 7.1: secret key, public key, message, signature.
VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
)


class Keys(ctypes.Structure):
    _fields_ = (("keys", ctypes.c_char_p), ("count", ctypes.c_uint32))


@pytest.fixture(scope="module")
def check(repo: Path, monocypher: Path, tmp_path_factory: pytest.TempPathFactory) -> Check:
    """`check(public keys, message, signature)`, in C."""
    folder, c = tmp_path_factory.mktemp("ed25519"), repo / "interpreter_c"
    strict = [
        "-std=c11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Wconversion",
        "-Wshadow",
        "-Wcast-align",
        "-Werror",
    ]
    trap = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
    sources = [c / "ed25519" / "ed25519.c", c / "ed25519" / "sha512.c"]
    include = ["-I", c / "include", "-isystem", monocypher, "-fPIC"]
    objects = []
    for source in (*sources, monocypher / "monocypher.c"):
        options = [*strict, *trap] if source in sources else ["-O2"]
        objects.append(folder / f"{source.stem}.o")
        subprocess.run(["gcc", *options, *include, "-c", source, "-o", objects[-1]], check=True)
    subprocess.run(["gcc", "-shared", *objects, "-o", folder / "ed25519.so"], check=True)
    function = ctypes.CDLL(str(folder / "ed25519.so")).dqnn_ed25519_signature
    function.restype, size = ctypes.c_bool, ctypes.c_size_t
    function.argtypes = [ctypes.c_void_p, ctypes.c_char_p, size, ctypes.c_char_p, size]

    def checked(keys: list[bytes], message: bytes, signature: bytes | None) -> bool:
        context = Keys(b"".join(keys), len(keys))
        return bool(function(ctypes.byref(context), message, len(message), signature, len(signature or b"")))

    return checked


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_vectors_of_rfc_8032(check: Check, secret: str, public: str, message: str, signature: str) -> None:
    assert Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).public_key().public_bytes_raw().hex() == public
    assert check([bytes.fromhex(public)], bytes.fromhex(message), bytes.fromhex(signature))


@pytest.mark.parametrize("size", [0, 1, 47, 48, 63, 64, 65, 111, 112, 175, 176, 177, 1000, 100_000])
def test_openssl_signs(check: Check, size: int) -> None:
    """Lengths on both sides of where SHA-512 fills a block, behind the 64 bytes of R and A."""
    key, message = Ed25519PrivateKey.generate(), bytes(i * 7 % 256 for i in range(size))
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert check([public], message, signature)
    assert not check([public], message + b"\0", signature)


@given(data=st.data(), message=st.binary(max_size=300), seed=st.binary(min_size=32, max_size=32))
def test_no_bit_may_change(check: Check, data: st.DataObject, message: bytes, seed: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    parts = [key.public_key().public_bytes_raw(), message, key.sign(message)]
    assert check(parts[:1], *parts[1:])
    part = data.draw(st.sampled_from([i for i, content in enumerate(parts) if content]))
    bit = data.draw(st.integers(0, 8 * len(parts[part]) - 1))
    changed = bytearray(parts[part])
    changed[bit // 8] ^= 1 << bit % 8
    parts[part] = bytes(changed)
    assert not check(parts[:1], *parts[1:])


def test_any_of_the_keys_and_no_other(check: Check) -> None:
    keys = [Ed25519PrivateKey.generate() for _ in range(3)]
    publics = [key.public_key().public_bytes_raw() for key in keys]
    for key in keys[:2]:
        assert check(publics[:2], b"model", key.sign(b"model"))
    assert not check(publics[:2], b"model", keys[2].sign(b"model"))
    assert not check([], b"model", keys[0].sign(b"model"))


def test_a_signature_has_one_form(check: Check) -> None:
    """S + L would sign as well if it were taken: refused, like S without R, more bytes, and none at all."""
    key = Ed25519PrivateKey.generate()
    public, signature = key.public_key().public_bytes_raw(), key.sign(b"model")
    s = int.from_bytes(signature[32:], "little") + ORDER
    assert check([public], b"model", signature)
    for wrong in (signature[:32] + s.to_bytes(32, "little"), signature[:63], signature + b"\0", bytes(64), b"", None):
        assert not check([public], b"model", wrong)
