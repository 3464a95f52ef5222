"""Put the vectors of zoo:emoji's captions into the package: without them, its first answer waits until all are read.

    python tools/package_captions.py

Run it after the model, its captions or the sentence encoder have changed. It replaces ganlab/data/arrays.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


def main() -> None:
    """Load zoo:emoji with an empty cache, and move the vectors that this makes into the package."""
    from ganlab.data import cache

    shutil.rmtree(cache.PACKAGED, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GANLAB_CACHE"] = folder
        from ganlab import load

        load("zoo:emoji")
        cache.PACKAGED.mkdir()
        for made in Path(folder).glob("sentences-*.npy"):
            shutil.move(made, cache.PACKAGED)
            print(f"ganlab/data/arrays/{made.name}")


if __name__ == "__main__":
    main()
