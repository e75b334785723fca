"""The long search: thousands of random models against Keras, with a count per outcome.

    PYTHONPATH=tests python tests/models/random_search.py networks --draws 20000 --seed 1

What differs is cut down to the fewest steps that still differ and printed, ready to become a named regression in
test_random_layers.py. Reasons of fallbacks and refusals are counted, and the kernels that no draw has chosen named."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.simplefilter("ignore")

import random_layers  # noqa: E402
import random_nets  # noqa: E402
import tensorflow as tf  # noqa: E402
from compare import KerasRefuses, Outcome  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402

from dqnn.exporter.emit.kernel_table import rows  # noqa: E402

SUITES: dict[str, tuple[Any, Callable[[Any], Outcome]]] = {
    "layers": (random_layers.configs, random_layers.check),
    "networks": (random_nets.networks, random_nets.check),
    "few": (random_nets.few_bits, random_nets.check),
}


def outcome_of(check: Callable[[Any], Outcome], drawn: Any) -> Outcome:
    """What became of one draw; an error that is not a clear refusal is a finding as well."""
    try:
        return check(drawn)
    except KerasRefuses as error:
        return Outcome("keras refuses", str(error))
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome("crashes", f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})")


def search(suite: str, draws: int, number: int) -> int:
    """Checks `draws` models; returns how many differ or crash."""
    random_layers.patch_transposed()
    strategy, check = SUITES[suite]
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    kernels: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    start = time.monotonic()

    def progress() -> None:
        done = ", ".join(f"{count} {kind}" for kind, count in outcomes.most_common())
        print(f"# {suite} {number}: {outcomes.total()} draws in {time.monotonic() - start:.0f} s: {done}", flush=True)

    @seed(number)
    @settings(
        max_examples=draws,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy())
    def run(drawn: Any) -> None:
        outcome = outcome_of(check, drawn)
        outcomes[outcome.kind] += 1
        kernels.update(outcome.kernels)
        counts.update(compared=outcome.compared, elements=outcome.elements, packed=outcome.packed)
        if outcome.detail:
            reasons[f"{outcome.kind}: {outcome.detail.splitlines()[0][:160]}"] += 1
        if outcome.kind in ("differs", "crashes"):
            least = smallest(check, drawn, outcome.kind)
            print(f"{outcome.kind}: {outcome_of(check, least).detail}\n  {least}\n  drawn as {drawn}", flush=True)
        if outcomes.total() % 200 == 0:
            tf.keras.backend.clear_session()
            progress()

    run()
    progress()
    print(f"# {counts['compared']} of {counts['elements']} output elements compared, the others within Keras' rounding")
    print(f"# {counts['packed']} layers with weights of 4 or 2 bits")
    for reason, count in reasons.most_common():
        print(f"# {count:5} {reason}")
    print(f"# kernels never chosen: {', '.join(sorted(set(rows()) - set(kernels))) or 'none'}")
    return outcomes["differs"] + outcomes["crashes"]


def smallest(check: Callable[[Any], Outcome], drawn: Any, kind: str) -> Any:
    """A network with as few steps and as many default values as still give the outcome."""
    if not isinstance(drawn, random_nets.Network):
        return drawn
    found, again = drawn, True
    while again:
        again = False
        for candidate in _simpler(found):
            if outcome_of(check, candidate).kind == kind:
                found, again = candidate, True
                break
    return found


def _simpler(network: random_nets.Network) -> list[random_nets.Network]:
    steps = network.steps
    fewer = [(*steps[:i], *steps[i + 1 :]) for i in range(len(steps))]
    plainer = [
        (*steps[:i], replace(step, **{field.name: field.default}), *steps[i + 1 :])
        for i, step in enumerate(steps)
        for field in fields(step)
        if field.name not in ("kind", "library", "name", "spelling") and getattr(step, field.name) != field.default
    ]
    return [replace(network, steps=candidate) for candidate in fewer + plainer]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    sys.exit(1 if search(arguments.suite, arguments.draws, arguments.seed) else 0)
