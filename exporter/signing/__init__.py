"""Signed files: a device that knows a public key takes no others (docs/security.md)."""
