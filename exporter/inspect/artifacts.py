"""A .dqnn file in the forms that firmware builds take: C array with its header, padded binary, Intel HEX.

All of them hold the file unchanged; the C array and the binary are padded to whole 16-byte blocks with 0xff, the state
of erased flash, so that something may follow them. The interpreter takes the file's length from the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dqnn.tensors import Rounding

from ..blob import ModelView, PortView, TensorView
from ..errors import DqnnError
from ..ir.types import S8, dtype_name

ALIGNMENT = 16
PER_LINE = 16
RECORD = 16  # data bytes of an Intel HEX record
SEGMENT = 1 << 16
MOST_ADDRESS = 1 << 32
MADE_BY = "Made by `dqnn inspect --c-array`"
ROUNDINGS = {
    Rounding.KERAS: "DQNN_ROUNDING_MULTIPLY",
    Rounding.DIVIDE_EVEN: "DQNN_ROUNDING_DIVIDE_EVEN",
    Rounding.DIVIDE_AWAY: "DQNN_ROUNDING_DIVIDE_AWAY",
}
C_WORDS = set(
    "alignas alignof auto bool break case char const constexpr continue default do double else enum extern float for "
    "goto if inline int long register restrict return short signed sizeof static struct switch typedef typeof union "
    "unsigned void volatile while class delete namespace new operator private protected public template this throw "
    "try using virtual main".split()
)


class ArtifactError(DqnnError):
    """Something that cannot be made of this file."""


def padded(blob: bytes) -> bytes:
    """Whole blocks."""
    return blob + b"\xff" * (-len(blob) % ALIGNMENT)


def identifier(name: str) -> str:
    """A C identifier like `name`, e.g. a file's stem."""
    cleaned = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "model"
    if cleaned[0].isdigit() or cleaned in C_WORDS:
        return f"model_{cleaned}"
    return cleaned


def checked(name: str) -> str:
    """A name given by the user, refused if C would not take it."""
    if identifier(name) != name:
        raise ArtifactError(f"{name!r} is no C identifier; for instance {identifier(name)!r} is one")
    return name


def c_array(blob: bytes, model: ModelView, name: str) -> str:
    """A C file (C++ takes it as well) with the aligned array `name` and its length `name`_size."""
    content = padded(blob)
    lines = [
        "    " + " ".join(f"0x{byte:02x}," for byte in content[start : start + PER_LINE])
        for start in range(0, len(content), PER_LINE)
    ]
    return "\n".join(
        [
            f"/* {_title(blob, model)}",
            f" * dqnn_init needs {model.memory_bytes} bytes of memory for it on a 32-bit core.",
            " *",
            f" *   extern const uint8_t {name}[];",
            f" *   extern const size_t {name}_size;",
            " */",
            "#include <stdalign.h>",
            "#include <stddef.h>",
            "#include <stdint.h>",
            "",
            *in_c(
                [
                    f"extern const uint8_t {name}[];",
                    f"extern const size_t {name}_size;",
                    "",
                    f"alignas({ALIGNMENT}) const uint8_t {name}[{len(content)}] = {{",
                    *lines,
                    "};",
                    f"const size_t {name}_size = {len(blob)};",
                ]
            ),
            "",
        ]
    )


def in_c(lines: Sequence[str]) -> list[str]:
    """Declarations that C++ takes as C's."""
    return ["#ifdef __cplusplus", 'extern "C" {', "#endif", *lines, "#ifdef __cplusplus", "}", "#endif"]


def c_header(blob: bytes, model: ModelView, name: str, labels: Sequence[Sequence[str]] = ()) -> str:
    """The header of `c_array`, for C and C++: what a firmware must know of the model when it is compiled, as macros
    that begin with the name in capitals. `labels`: names of the classes, for each output in order that has them."""
    upper = name.upper()
    enums = list(_label_enums(model, upper, labels))
    lines = [
        f"/* {_title(blob, model)} */",
        f"#ifndef {upper}_MODEL_H",
        f"#define {upper}_MODEL_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        *in_c([f"extern const uint8_t {name}[]; /* {ALIGNMENT}-byte aligned */", f"extern const size_t {name}_size;"]),
        "",
        f"#define {upper}_SIZE {len(blob)} /* bytes, as {name}_size */",
        f"#define {upper}_MEMORY_BYTES {model.memory_bytes} /* what dqnn_init needs on a 32-bit core */",
        f"#define {upper}_ARENA_BYTES {model.prefix.arena_bytes} /* the part of it that interpreters may share */",
        f"#define {upper}_STATE_BYTES {model.state_bytes} /* the rest, on a 32-bit core */",
        f"#define {upper}_ID {model.prefix.model_id:#010x}u",
        f"#define {upper}_VERSION {model.prefix.model_version}",
        f"#define {upper}_INPUTS {len(model.inputs)}",
        f"#define {upper}_OUTPUTS {len(model.outputs)}",
    ]
    for kind, ports in (("INPUT", model.inputs), ("OUTPUT", model.outputs)):
        for index, port in enumerate(ports):
            macros = _port_macros(port, model.tensors[port.tensor], kind == "INPUT")
            lines += ["", *(f"#define {upper}_{kind}{index}_{macro} {value}" for macro, value in macros)]
    return "\n".join([*lines, *enums, "", "#endif", ""])


def _label_enums(model: ModelView, upper: str, labels: Sequence[Sequence[str]]) -> Iterator[str]:
    """An enumerator per class, whose value is its index along the output's last axis."""
    if len(labels) > len(model.outputs):
        raise ArtifactError(f"labels for {len(labels)} outputs; the model has {len(model.outputs)}")
    for index, (port, names) in enumerate(zip(model.outputs, labels, strict=False)):
        classes = model.tensors[port.tensor].type.shape[-1]
        if len(names) != classes:
            raise ArtifactError(
                f"output {index} ('{port.name}') has {classes} classes, but {len(names)} labels are given"
            )
        macro = f"{upper}_OUTPUT{index}_LABEL"
        words = [re.sub(r"\W+", "_", name.strip(), flags=re.ASCII).strip("_").upper() for name in names]
        twice = [name for name, word in zip(names, words, strict=True) if words.count(word) > 1 or not word]
        if twice:
            raise ArtifactError(
                f"labels of output {index} that are empty or alike as C names: {', '.join(map(repr, twice))}; C names "
                "keep letters, digits and _, without case"
            )
        yield ""
        yield f"#define {macro}S {classes}"
        yield f"#define {macro}_NAMES {{{', '.join(map(_c_string, names))}}}"
        yield "enum {"
        yield from (f"  {macro}_{word} = {number}," for number, word in enumerate(words[:-1]))
        yield f"  {macro}_{words[-1]} = {classes - 1}"
        yield "};"


def read_labels(given: str) -> list[str]:
    """Names of classes: the lines of a text file, or words with commas between them."""
    path = Path(given)
    if "," not in given or path.is_file():
        try:
            return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise ArtifactError(
                f"labels {given!r} are no text file with a name on each line ({error}); names can also be given with "
                "commas between them"
            ) from error
    return [name.strip() for name in given.split(",")]


def _port_macros(port: PortView, tensor: TensorView, written: bool) -> Iterator[tuple[str, str]]:
    """The fields of a dqnn_tensor; names of enumerators are dqnn.h's."""
    kind, fmt = tensor.type, tensor.type.fmt
    yield "NAME", _c_string(port.name)
    yield "DTYPE", f"DQNN_{dtype_name(fmt).upper()}"
    yield "RANK", str(len(kind.shape))
    yield "DIMS", f"{{{', '.join(map(str, kind.shape))}}}"
    yield "ELEMENTS", str(kind.elements)
    yield "BYTES", str(kind.nbytes)
    yield "SCALE", f"{fmt.scale!r}f" if isinstance(fmt, S8) else "1.0f"
    yield "ZERO_POINT", f"({fmt.zero_point})" if isinstance(fmt, S8) else "0"
    if isinstance(fmt, S8):
        yield "U8", str(int(port.unsigned))
        if written:
            yield "ROUNDING", ROUNDINGS[port.rounding]
    if port.sample is not None:
        yield "SAMPLE_SCALE", f"({port.sample[0]!r}f)"
        yield "SAMPLE_OFFSET", f"({port.sample[1]!r}f)"


def _title(blob: bytes, model: ModelView) -> str:
    prefix = model.prefix
    return (
        f"{_comment(model.name or 'unnamed')}: {len(blob)} bytes, id {prefix.model_id:#010x}, version"
        f" {prefix.model_version}. {MADE_BY}."
    )


def _comment(text: str) -> str:
    """Text that cannot end a comment."""
    return text.replace("*/", "* /").replace("\n", " ")


def _c_string(text: str) -> str:
    """A string literal; other bytes than letters, digits and common signs in octal, trigraphs among them."""
    plain = re.compile(r"[\w ./:;,+-]", re.ASCII)
    return '"' + "".join(chr(b) if plain.match(chr(b)) else f"\\{b:03o}" for b in text.encode()) + '"'


# --- Intel HEX --------------------------------------------------------------------------------------------------------


def intel_hex(blob: bytes, address: int) -> str:
    """The file at `address`, which must be a multiple of 16: data records, an extended linear address record (04)
    wherever the upper 16 bits of the address change, and the end record."""
    if address % ALIGNMENT:
        raise ArtifactError(
            f"address {address:#x} is no multiple of {ALIGNMENT}: the interpreter would refuse the file"
        )
    if not 0 <= address <= MOST_ADDRESS - len(blob):
        raise ArtifactError(f"{len(blob)} bytes at {address:#x} do not fit 32-bit addresses")
    return "".join(line + "\n" for line in _records(blob, address))


def _records(blob: bytes, address: int) -> Iterator[str]:
    upper = 0
    done = 0
    while done < len(blob):
        place = address + done
        if place // SEGMENT != upper:
            upper = place // SEGMENT
            yield _record(0, 4, upper.to_bytes(2, "big"))
        count = min(RECORD, SEGMENT - place % SEGMENT, len(blob) - done)
        yield _record(place % SEGMENT, 0, blob[done : done + count])
        done += count
    yield _record(0, 1, b"")


def _record(offset: int, kind: int, data: bytes) -> str:
    content = bytes([len(data)]) + offset.to_bytes(2, "big") + bytes([kind]) + data
    return f":{(content + bytes([-sum(content) & 0xFF])).hex().upper()}"
