"""The numbers that our reader takes for TensorFlow Lite's schema are those of TensorFlow's own copy of it."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tf

from oracles.tflite_model import TfliteModel, options, schema  # noqa: E402

from dqnn.exporter.frontends.tflite import model as reader  # noqa: E402
from dqnn.exporter.frontends.tflite import schema as ours  # noqa: E402


def test_operators_and_types() -> None:
    assert len(ours.OPERATORS) == len(set(ours.OPERATORS))
    for number, name in enumerate(ours.OPERATORS):
        assert getattr(schema.BuiltinOperator, name) == number
    for number, name in enumerate(ours.TYPES):
        assert getattr(schema.TensorType, name) == number


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (ours.PADDINGS, schema.Padding),
        (ours.ACTIVATIONS, schema.ActivationFunctionType),
        (ours.MIRRORS, schema.MirrorPadMode),
    ],
)
def test_enumerations(found: tuple[str, ...], wanted: type) -> None:
    assert {name: number for name, number in vars(wanted).items() if not name.startswith("_")} == {
        name: number for number, name in enumerate(found)
    }


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


@pytest.mark.parametrize("kind", ours.OPTIONS)
def test_options_are_read_as_they_are_written(kind: str) -> None:
    """Every field with a value of its own, and all with their defaults."""
    wanted = ours.OPTIONS[kind]
    name = f"{wanted.name}Options"
    assert getattr(schema.BuiltinOptions, name) == wanted.number
    values = {field: value_of(entry, at) for at, (field, entry) in enumerate(wanted.fields.items())}
    for given in (values, {}):
        made = options(name, **{camel(field): value for field, value in given.items()})
        builder = TfliteModel()
        x, y = builder.tensor((1, 2)), builder.tensor((1, 2))
        builder.operator(getattr(schema.BuiltinOperator, kind), [x], [y], made)
        [operator] = reader.read_model(builder.content([x], [y])).operators
        assert operator.kind == kind
        for field, entry in wanted.fields.items():
            value = given.get(field, () if entry.code == "v" else entry.default)
            expected = entry.names[value] if entry.names else value
            assert operator.options[field] == pytest.approx(expected), field


def value_of(entry: ours.Field, at: int) -> object:
    if entry.code == "v":
        return (3, 1, 4)
    if entry.names:
        return 1
    return {"?": True, "f": 0.25 + at}.get(entry.code, 7 + at)
