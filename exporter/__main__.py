"""`python -m dqnn.exporter` is `dqnn`."""

from .cli import main

main(prog_name="dqnn")
