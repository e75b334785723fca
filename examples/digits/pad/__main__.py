"""The digit pad: `python examples/digits/pad MODEL [--target TARGET]`, then http://127.0.0.1:8028/ in a browser.

A digit drawn there is run by MODEL, on this machine or on a device at a serial port or behind TCP; another model can be
uploaded while it runs."""

from __future__ import annotations

import click
from aiohttp import web
from device import Pad, PadError
from server import make_app

from dqnn.link import LinkError


@click.command()
@click.argument("model", type=click.File("rb"))
@click.option("--target", default="host", show_default=True, help="host, tcp:HOST:PORT, serial:PORT[,BAUD]")
@click.option("--port", default=8028, show_default=True, help="Of the page, for this machine alone.")
@click.option("--load", is_flag=True, help="Upload MODEL if the device runs another.")
def main(model: click.utils.LazyFile, target: str, port: int, load: bool) -> None:
    try:
        pad = Pad(model.read(), target, load=load)
    except (PadError, LinkError) as error:
        raise click.ClickException(str(error)) from error

    def tell(text: str) -> None:
        click.echo(text.replace("======== Running on", "digit pad:").replace(" ========", "").splitlines()[0])

    web.run_app(make_app(pad), host="127.0.0.1", port=port, print=tell)


if __name__ == "__main__":
    main()
