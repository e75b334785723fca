"""`python -m dqnn` is `dqnn`."""

from .exporter.cli import main

main(prog_name="dqnn")
