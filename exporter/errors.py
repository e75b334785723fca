"""What can go wrong with a user's model, as data.

`ExportError` carries every problem found in a model, so that a user repairs them all at once instead of one per run.
Each `Problem` names the layer as the user wrote it, what was found, what is accepted and what to do. `UnreadableModel`
is for files that cannot be read as a model at all. The command line prints both without a traceback."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

DEBUG = "DQNN_DEBUG"


def debugging() -> bool:
    """Whether an error that would be explained away (a damaged file, a layer that cannot be understood) is raised as it
    is: DQNN_DEBUG=1, or --debug."""
    return os.environ.get(DEBUG, "0") not in ("", "0")


@dataclass(frozen=True)
class Problem:
    """One unsupported thing. `layer` is the layer (`outer/inner` when nested), empty for the model as a whole; `cause`
    is the error that the problem explains, if it is one."""

    layer: str
    found: str
    accepted: str = ""
    advice: str = ""
    cause: Exception | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        text = f"{self.layer}: {self.found}" if self.layer else self.found
        if self.accepted:
            text += f"; accepted: {self.accepted}"
        if self.advice:
            text += f". {self.advice}"
        return text


LONG = 200  # characters of what is accepted: said once in a report


def _lines(problems: Sequence[Problem]) -> list[str]:
    """A line for each problem; a long list of what is accepted stands in the first that has it."""
    lines: list[str] = []
    said: set[str] = set()
    for problem in problems:
        again = problem.accepted in said
        lines.append(str(replace(problem, accepted="see above") if again else problem))
        if len(problem.accepted) > LONG:
            said.add(problem.accepted)
    return lines


class DqnnError(Exception):
    """Base of the errors a user can cause and repair."""


class ExportError(DqnnError):
    """The model cannot be exported; `problems` lists every reason."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(_lines(self.problems)))


class UnreadableModel(DqnnError):
    """The file is no model that can be read; the text says what it is and what is accepted."""
