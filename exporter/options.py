"""How a model is to be exported: each option declared once, for `export`, the command line, the passes, and for the
comparison of layers, which repeats an export. A file keeps in short what was not left at its default.

Only what decides the nodes and constants of a file belongs here; its name, id and version stand in it anyway."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

from .errors import DqnnError

MOST_SAMPLES = 20  # that a command measures on without --limit: emulation takes its time

IoDtype: TypeAlias = Literal["auto", "f32"]
Requant: TypeAlias = Literal["auto", "tflite"]
RowsMode: TypeAlias = Literal["off", "auto", "least"]  # of export: which layers run for some rows at a time
Optimize: TypeAlias = Literal["balanced", "speed", "size"]
Pair: TypeAlias = tuple[float, float]
SMALLEST_SCALE = 1e-30  # of samples: far from where float32 ends


class OptionError(DqnnError, ValueError):
    """An option that cannot be; the text says what is accepted."""


@dataclass(frozen=True)
class ExportOptions:
    """io_dtype: "auto" gives an input the type the model quantizes it to first; "f32" keeps floats.
    requant: "tflite" requantizes s8 convolutions in TFLite's fixed point instead of our exact affine; one that cannot
        be stated in it is a fallback.
    constant_time: binary convolutions take kernels whose time does not depend on the data.
    pack_weights: s8 weights whose codes fit 4 or 2 bits have as many in the file, where kernels unpack them in
        registers.
    input_u8: (scale, offset): the inputs take raw uint8 samples u, which stand for the real values scale * u + offset
        that the model was trained on; a mapping gives a pair by input name. A model that begins with a Rescaling needs
        no option: "auto" recognizes it."""

    io_dtype: IoDtype = "auto"
    requant: Requant = "auto"
    constant_time: bool = False
    input_u8: Pair | Mapping[str, Pair] | None = None
    pack_weights: bool = False

    def __post_init__(self) -> None:
        for name, accepted in (("io_dtype", get_args(IoDtype)), ("requant", get_args(Requant))):
            if getattr(self, name) not in accepted:
                raise OptionError(f"{name} is {getattr(self, name)!r}; accepted: {', '.join(accepted)}")
        for pair in self._pairs():
            _check_pair(pair)

    def _pairs(self) -> Iterator[Any]:
        if self.input_u8 is not None:
            yield from self.input_u8.values() if isinstance(self.input_u8, Mapping) else [self.input_u8]

    def in_short(self) -> str:
        """What a file keeps: JSON of the options that are not at their default, empty without."""
        changed = {field.name: getattr(self, field.name) for field in fields(self)}
        changed = {name: value for name, value in changed.items() if value != getattr(DEFAULTS, name)}
        return json.dumps(changed, separators=(",", ":"), default=dict) if changed else ""

    @classmethod
    def of_short(cls, text: str) -> ExportOptions:
        """The inverse of `in_short`. OptionError for what this version does not know."""
        try:
            values = dict(json.loads(text)) if text else {}
        except (ValueError, TypeError) as error:
            raise OptionError(f"{text!r} is no list of options") from error
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise OptionError(f"this version knows no option {', '.join(unknown)}")
        samples = values.get("input_u8")
        if isinstance(samples, Mapping):
            values["input_u8"] = {name: tuple(pair) for name, pair in samples.items()}
        elif samples is not None:
            values["input_u8"] = tuple(samples)
        return cls(**values)


DEFAULTS = ExportOptions()


def _check_pair(pair: Any) -> None:
    try:
        scale, offset = map(float, pair)
    except (TypeError, ValueError):
        raise OptionError(f"input_u8 is {pair!r}; accepted: (scale, offset), or a mapping of such by input") from None
    if not (math.isfinite(scale) and math.isfinite(offset)) or abs(scale) < SMALLEST_SCALE:
        raise OptionError(f"input_u8 is ({scale:g}, {offset:g}); accepted: finite numbers and a scale that is not 0")
