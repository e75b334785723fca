"""The commands `dqnn keygen` and `dqnn sign`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..command_line import CHECK_FAILED, OUTPUT, command

KEY = click.Path(exists=True, dir_okay=False, path_type=Path)
PASSPHRASE = "DQNN_PASSPHRASE"


def passphrase_of(path: Path) -> str:
    """From the environment, or from whoever sits there."""
    import os

    given = os.environ.get(PASSPHRASE)
    return given if given is not None else str(click.prompt(f"passphrase of {path}", hide_input=True, err=True))


@command("keygen")
@click.argument("key", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--public", type=OUTPUT, help="Write the public key (PEM): what --check and others need.")
@click.option("--header", type=OUTPUT, help="Write the public key as C constants, for a firmware.")
@click.option("--also", type=KEY, multiple=True, help="One more key in the header, e.g. the next one.")
@click.option("--passphrase", is_flag=True, help=f"Encrypt a new key; asked for, or in {PASSPHRASE}.")
def keygen_command(
    key: Path, public: Path | None, header: Path | None, also: tuple[Path, ...], passphrase: bool
) -> None:
    """Make an Ed25519 key in the file KEY (PEM), with which models are signed. Who has it can sign: keep it off the
    device, out of the repository, and in a second place.

    A KEY that is there is kept, and its public parts are written."""
    from ..files import write_atomically
    from .keys import c_header, new_key, public_pem, raw, read_public

    if key.exists():
        made, verb = read_public(key, passphrase_of), "is there and is kept"
    else:
        secret = None
        if passphrase:
            secret = passphrase_of(key)
        made, verb = new_key(key, secret).public_key(), "written"
    click.echo(f"{key} {verb}; its public key is {raw(made).hex()}")
    if public is not None:
        write_atomically(public, public_pem(made))
    if header is not None:
        others = [read_public(path, passphrase_of) for path in also]
        write_atomically(header, c_header([made, *others]).encode())


@command("sign")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--key", type=KEY, help="The private key (PEM).")
@click.option("-o", "--output", type=OUTPUT, help="The signed file.")
@click.option("--check", type=KEY, help="Sign nothing: did the owner of this key (public or private) sign MODEL?")
def sign_command(model: Path, key: Path | None, output: Path | None, check: Path | None) -> None:
    """Sign MODEL (a .dqnn file), for devices that take nobody else's. A signature that it has is replaced."""
    from ..blob import read, read_bytes
    from ..files import write_atomically
    from .keys import read_private, read_public
    from .signature import is_signed_by, sign, signature_of

    if (check is None) == (key is None or output is None) or (check is not None and (key or output)):
        raise click.UsageError("give --key KEY -o FILE to sign, or --check KEY to check a signature")
    read(model)  # its message names the file
    blob = read_bytes(model)
    if check is not None:
        if not is_signed_by(blob, read_public(check, passphrase_of)):
            click.echo(f"{model} is {'unsigned' if signature_of(blob) is None else 'signed with another key'}")
            sys.exit(CHECK_FAILED)
        click.echo(f"{model} is signed by the owner of {check}")
        return
    assert key is not None and output is not None
    write_atomically(output, sign(blob, read_private(key, passphrase_of)))
    click.echo(f"{output} is signed: {len(blob):,} bytes -> {output.stat().st_size:,}")
