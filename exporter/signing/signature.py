"""A signature in a file: 64 bytes of Ed25519 (RFC 8032) behind the payload, over everything before them. The prefix is
part of it, and says already that they follow; `interpreter_c/ed25519` checks the same bytes."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from ..blob import read_prefix
from ..format import PREFIX, PREFIX_BYTES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_BYTES = 64
TOTAL_FIELD, SIGNATURE_FIELD = 3, -1  # of PREFIX


def sign(blob: bytes, key: Ed25519PrivateKey) -> bytes:
    """The file with a signature, in place of one that it may have; NotAModelError if it is none."""
    content = _announced(_payload(blob))
    return content + key.sign(content)


def signature_of(blob: bytes) -> bytes | None:
    """What stands behind the payload; None for an unsigned file."""
    prefix = read_prefix(blob)
    return blob[prefix.signature_offset : prefix.file_bytes] if prefix.signature_offset else None


def is_signed_by(blob: bytes, key: Ed25519PublicKey) -> bool:
    """As the device decides it."""
    from cryptography.exceptions import InvalidSignature

    signature = signature_of(blob)
    if signature is None or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        key.verify(signature, blob[: read_prefix(blob).signature_offset])
    except InvalidSignature:
        return False
    return True


def _payload(blob: bytes) -> bytes:
    """The file up to the end of its payload."""
    prefix = read_prefix(blob)
    return blob[: prefix.signature_offset or prefix.file_bytes]


def _announced(content: bytes) -> bytes:
    """With a prefix that tells of the signature to follow."""
    fields = list(PREFIX.unpack_from(content))
    fields[TOTAL_FIELD], fields[SIGNATURE_FIELD] = len(content) + SIGNATURE_BYTES, len(content)
    head = PREFIX.pack(*fields)
    return head + struct.pack("<I", zlib.crc32(head)) + content[PREFIX_BYTES:]
