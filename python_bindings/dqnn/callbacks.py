"""What a model would cost on a device, while it trains.

    model.fit(x, y, epochs=10, callbacks=[dqnn.callbacks.DeployReport(validation_data=(x_test, y_test))])

After an epoch the model is exported in memory, run on the validation data by the C code, and `logs` (so `history`, too)
get `dqnn_file_bytes`, `dqnn_ram_bytes`, `dqnn_fallbacks` and `dqnn_accuracy`. Nothing here imports Keras: a callback
needs only the methods below, so that Keras 2 and tf-keras take it alike."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TextIO

if TYPE_CHECKING:
    from .exporter.analyze.analysis import AnalysisReport


class Callback:
    """What Keras calls, doing nothing."""

    model: Any = None
    params: dict[str, Any]
    _supports_tf_logs = False

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def _implements_train_batch_hooks(self) -> bool:
        return False

    def _implements_test_batch_hooks(self) -> bool:
        return False

    def _implements_predict_batch_hooks(self) -> bool:
        return False

    def _nothing(self, *_: Any, **__: Any) -> None:
        """Every other moment of training."""

    on_batch_begin = on_batch_end = on_epoch_begin = on_train_end = _nothing
    on_train_batch_begin = on_train_batch_end = on_test_batch_begin = on_test_batch_end = _nothing
    on_predict_batch_begin = on_predict_batch_end = on_test_begin = on_test_end = _nothing
    on_predict_begin = on_predict_end = _nothing


class DeployReport(Callback):
    """Exports the model at the end of epochs and reports what it would be on a device.

    validation_data: (x, y) or (x, y, sample weights) as for `fit`, the weights unused, or a tf.data.Dataset of batches
        of them, which is read once; y are class numbers or like the output. None: sizes alone.
    every: report after every n-th epoch, and after the last.
    target: where the model is to run (see `dqnn targets`); a warning says when it does not fit there.
    on_error: "raise" stops the training at its beginning if the model cannot be exported; "warn" trains on.
    stream: where a line per report goes, None for nowhere.
    options: of `dqnn.export`.

    `reports` keeps what was found, `analysis` the last full analysis (in a notebook it shows as a table)."""

    def __init__(
        self,
        validation_data: Any = None,
        *,
        every: int = 1,
        target: str | None = None,
        on_error: Literal["raise", "warn"] = "raise",
        stream: TextIO | None = sys.stdout,
        **options: Any,
    ) -> None:
        if every < 1:
            raise ValueError(f"every is {every}; accepted: 1 or more")
        if on_error not in ("raise", "warn"):
            raise ValueError(f"on_error is {on_error!r}; accepted: 'raise', 'warn'")
        if target is not None:
            from .exporter.targets.target import find_target

            find_target(target)  # a wrong name is better known before the first epoch
        self.validation_data = _pair(validation_data)
        self.every, self.target, self.on_error, self.stream, self.options = every, target, on_error, stream, options
        self.reports: list[dict[str, float]] = []
        self.analysis: AnalysisReport | None = None
        self.params = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Finds out what would make every report fail before an epoch is spent."""
        if self._is_built():
            self._guarded(self._measure)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        last = epoch + 1 == self.params.get("epochs")
        if (epoch + 1) % self.every and not last:
            return
        found = self._guarded(self._measure)
        if found is None:
            return
        self.reports.append({"epoch": epoch, **found})
        if logs is not None:
            logs.update({f"dqnn_{name}": value for name, value in found.items()})
        if self.stream is not None:
            self.stream.write(f"\ndqnn: {self._line(found)}\n")

    def _is_built(self) -> bool:
        return bool(getattr(self.model, "built", True)) and getattr(self.model, "inputs", None) is not None

    def _guarded(self, work: Callable[[], dict[str, float]]) -> dict[str, float] | None:
        from .exporter.errors import DqnnError

        try:
            return work()
        except DqnnError as error:
            if self.on_error == "raise":
                raise
            warnings.warn(f"DeployReport: {error}", stacklevel=2)
            return None

    def _measure(self) -> dict[str, float]:
        from .exporter.analyze.analysis import analyze_view
        from .exporter.api import export, load_graph

        graph = load_graph(self.model)
        result = export(graph, **self.options)
        self.analysis = analyze_view(result.report.model, result.report, graph)
        found: dict[str, float] = {
            "file_bytes": self.analysis.file_bytes,
            "ram_bytes": self.analysis.ram_bytes,
            "fallbacks": len(result.report.fallbacks),
        }
        if self.validation_data is not None:
            found["accuracy"] = self._accuracy(result.blob, *self.validation_data)
        self._check_fit(self.analysis)
        return found

    def _accuracy(self, blob: bytes, x: Any, y: Any) -> float:
        """Of the exported model's first output."""
        import numpy as np

        from .exporter.samples.metrics import accuracy, read_labels
        from .interpreter import Interpreter

        outputs = Interpreter(blob).predict(x)
        scores = next(iter(outputs.values())) if isinstance(outputs, dict) else outputs
        labels = next(iter(y.values())) if isinstance(y, dict) else y[0] if isinstance(y, list | tuple) else y
        return accuracy(read_labels(np.asarray(labels), scores.shape).values, scores)

    def _check_fit(self, analysis: AnalysisReport) -> None:
        from .exporter.targets.fit import fit_of
        from .exporter.targets.target import find_target

        fit = None if self.target is None else fit_of(find_target(self.target), analysis.model)
        if fit is not None and fit.problem:
            warnings.warn(f"DeployReport: {fit.problem}", stacklevel=2)

    def _line(self, found: dict[str, float]) -> str:
        text = f"{found['file_bytes']:,} B file, {found['ram_bytes']:,} B RAM, {found['fallbacks']} fallbacks"
        return text + (f", accuracy {found['accuracy']:.4f}" if "accuracy" in found else "")


def _pair(data: Any) -> tuple[Any, Any] | None:
    """(x, y) of what `fit` takes as validation_data; ValueError for anything else."""
    if data is None:
        return None
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        return data[0], data[1]
    if hasattr(data, "as_numpy_iterator"):
        return _collected(data)
    found = f"{type(data).__name__} of {len(data)}" if isinstance(data, tuple | list) else type(data).__name__
    raise ValueError(f"validation_data is a {found}; accepted: validation_data=(x, y), or a tf.data.Dataset of (x, y)")


def _collected(dataset: Any) -> tuple[Any, Any]:
    """The batches of a Dataset behind each other."""
    import numpy as np

    batches = list(dataset.as_numpy_iterator())
    if not batches or not all(isinstance(batch, tuple) and len(batch) in (2, 3) for batch in batches):
        raise ValueError("validation_data is a Dataset without batches of (x, y); accepted: one of (x, y), batched")

    def joined(parts: list[Any]) -> Any:
        if isinstance(parts[0], dict):
            return {name: joined([part[name] for part in parts]) for name in parts[0]}
        if isinstance(parts[0], tuple):
            return [joined(list(column)) for column in zip(*parts, strict=True)]
        return np.concatenate(parts)

    return joined([batch[0] for batch in batches]), joined([batch[1] for batch in batches])


__all__ = ["DeployReport"]
