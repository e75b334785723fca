"""Makes docs/report.png anew: the HTML report of the Larq digits model with cycles, errors and a board, as Chromium
shows it. Needs chromium, the bench's tools and Pillow (`pip install -e '.[dev]'`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import dqnn

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "examples" / "digits"
IMAGE = ROOT / "docs" / "report.png"
WIDTH, HEIGHT = 1220, 1430  # down to the cycles
COLORS = 64


def main() -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("chromium is missing (apt-get install chromium)")
    source, data = DIGITS / "digits_larq.h5", np.load(DIGITS / "digits_test.npz")
    blob = dqnn.export(source).blob
    validation = dqnn.validate(blob, source, data["x"], labels=data["y"], original="evaluator", per_layer=True)
    analysis = dqnn.analyze(source, target="stm32f411", bench="cortex-m4", validation=validation)
    with tempfile.TemporaryDirectory() as directory:
        page, shot = Path(directory) / "report.html", Path(directory) / "shot.png"
        analysis.to_html(page)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"]
        places = [f"--user-data-dir={directory}/user", f"--screenshot={shot}", page.as_uri()]
        subprocess.run([browser, *flags, *places], check=True, capture_output=True)
        Image.open(shot).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(IMAGE, optimize=True)
    print(f"{IMAGE.relative_to(ROOT)}: {IMAGE.stat().st_size:,} B")


if __name__ == "__main__":
    main()
