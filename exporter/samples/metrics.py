"""How far one array of predictions is from another: the figures of the vendor tool's validation, defined.

With F the reference, f what is measured, both flattened to n values, and e = f - F:

    ACC   share of rows whose largest value stands at the same place in F and f (classifiers only, see `classes_of`)
    RMSE  sqrt(sum(e^2) / n)
    MAE   sum(|e|) / n
    L2R   ||e|| / ||F||, the relative error in the Euclidean norm; where F is zero, 0 if f is too, else infinite
    MEAN  sum(e) / n: positive where f is too large
    STD   sqrt(sum((e - MEAN)^2) / n)
    NSE   Nash-Sutcliffe efficiency, 1 - sum(e^2) / sum((F - mean(F))^2): 1 is perfect, 0 is as good as the mean of F;
          where F is constant, 1 if e is zero, else minus infinite
    COS   F.f / (||F|| ||f||), the cosine of the angle between them; where one is zero, 1 if both are, else 0

All sums are taken in float64. A NaN on either side makes every figure but ACC a NaN, which no limit accepts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
FLOAT_TOLERANCE = 1e-4  # L2R of a float tensor that rounding explains
HALF = 0.5  # a lone output is the probability of class 1


@dataclass(frozen=True)
class Metrics:
    """One row of the report; `acc` is None where there are no classes."""

    acc: float | None
    rmse: float
    mae: float
    l2r: float
    mean: float
    std: float
    nse: float
    cos: float

    def to_json(self) -> dict[str, float | str | None]:
        """JSON has neither infinities nor NaN: they are text."""
        return {k: str(v) if v is not None and not math.isfinite(v) else v for k, v in asdict(self).items()}


def measure(reference: Array, measured: Array, *, classifier: bool = False) -> Metrics:
    """All figures of `measured` against `reference`, arrays of one shape with a batch axis."""
    if reference.shape != measured.shape:
        raise ValueError(f"shapes differ: {reference.shape} and {measured.shape}")
    truth, found = (a.astype(np.float64).ravel() for a in (reference, measured))
    with np.errstate(invalid="ignore", over="ignore"):
        error = found - truth
        return Metrics(
            accuracy(reference, measured) if classifier else None,
            float(np.sqrt(np.mean(error**2))),
            float(np.mean(np.abs(error))),
            relative_error(reference, measured),
            float(np.mean(error)),
            float(np.std(error)),
            _efficiency(truth, error),
            _cosine(truth, found),
        )


def accuracy(reference: Array, measured: Array) -> float:
    """Share of equal classes."""
    return float(np.mean(classes_of(reference) == classes_of(measured)))


def relative_error(reference: Array, measured: Array) -> float:
    """L2R."""
    truth = reference.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        return ratio(float(np.linalg.norm(measured.astype(np.float64) - truth)), float(np.linalg.norm(truth)))


def ratio(error: float, size: float) -> float:
    """Of two norms; by nothing: 0 if there is no error, else infinite."""
    if size == 0:
        return error and error * math.inf  # 0, inf or NaN
    return error / size


def _efficiency(truth: Array, error: Array) -> float:
    return 1.0 - ratio(float(np.sum(error**2)), float(np.sum((truth - truth.mean()) ** 2)))


def _cosine(truth: Array, found: Array) -> float:
    sizes = float(np.linalg.norm(truth)), float(np.linalg.norm(found))
    if 0 in sizes:
        return float(sizes == (0, 0))
    return float(truth @ found / (sizes[0] * sizes[1]))


# --- classes ----------------------------------------------------------------------------------------------------------


def classes_of(scores: Array) -> NDArray[np.int64]:
    """The class of each row: where the last axis is largest (the first of equals); a lone value is class 1 above a
    half."""
    if scores.shape[-1] == 1:
        return (scores[..., 0] > HALF).astype(np.int64)
    return np.asarray(scores.argmax(axis=-1), np.int64)


class LabelError(ValueError):
    """Labels that do not fit an output."""


@dataclass(frozen=True)
class Labels:
    """`values` has the shape of the output: one-hot for class numbers."""

    values: Array
    classifier: bool


def read_labels(labels: Array, shape: tuple[int, ...]) -> Labels:
    """Labels for an output of this shape (batch first): a class number per row, or an array of the output's shape.

    An array of the output's shape is taken for classes where every row is one-hot, or 0 or 1 for a lone output."""
    if not (np.issubdtype(labels.dtype, np.number) or labels.dtype == np.bool_):
        raise LabelError(f"labels are {labels.dtype}, not numbers")
    if len(labels) != shape[0]:
        raise LabelError(f"{len(labels)} labels for {shape[0]} samples")
    count, rows = shape[-1], int(np.prod(shape[:-1]))
    if labels.size == rows * count:
        values = labels.reshape(shape)
        return Labels(values, _is_one_hot(values))
    if labels.size != rows:
        raise LabelError(f"labels have shape {labels.shape}; expected a class per sample, or {shape}")
    numbers = labels.reshape(shape[:-1])
    if not np.all((numbers == np.rint(numbers)) & (numbers >= 0) & (numbers < count)):
        raise LabelError(f"labels are from {labels.min()} to {labels.max()}; expected classes 0 to {count - 1}")
    return Labels(np.eye(count, dtype=np.float32)[numbers.astype(np.int64)], True)


def _is_one_hot(values: Array) -> bool:
    binary = bool(np.all((values == 0) | (values == 1)))
    return binary and (values.shape[-1] == 1 or bool(np.all(values.sum(axis=-1) == 1)))


def confusion(truth: Array, measured: Array) -> NDArray[np.int64]:
    """counts[i, j]: rows of class i (in `truth`) that were taken for class j."""
    count = max(2, truth.shape[-1])
    pairs = classes_of(truth).ravel() * count + classes_of(measured).ravel()
    return np.bincount(pairs, minlength=count * count).reshape((count, count))
