# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same targets guided by coverage, where atheris is installed: python -m fuzz.guided FOLDER SECONDS."""

from __future__ import annotations

import random
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ansible_collections.sep.sesam.plugins"]):
    from . import engine, mutations, seeds, targets


def main(folder: Path, seconds: int) -> None:
    """Begin with the seeds; atheris ends the process, and leaves what breaks something in the folder."""
    with tempfile.TemporaryDirectory() as stock:
        made, _missing = seeds.make(Path(stock))
    # What is opened in a child shows no coverage, and takes long.
    made = [seed for seed in made if seed.weight == seeds.CHEAP]
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(made):
        (corpus / f"seed-{number}").write_bytes(seed.content)

    def one(content: bytes) -> None:
        targets.run(made[len(content) % len(made)], content)

    def mutate(content: bytes, most: int, number: int) -> bytes:
        """Half of the changes are ours, which know PEM and DER."""
        rng = random.Random(number)
        if rng.random() < 0.5:
            changed: bytes = atheris.Mutate(content, most)
            return changed
        return mutations.mutated(rng, content, rng.choice(made).content)[:most]

    warnings.simplefilter("ignore")  # As the actions do.
    arguments = [sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-artifact_prefix={folder}/guided-",
                 f"-max_len={mutations.MOST_BYTES}", "-timeout=60", f"-rss_limit_mb={engine.MOST_MEMORY * 2}",
                 "-print_final_stats=1", "-verbosity=0"]  # fmt: skip
    atheris.Setup(arguments, one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(float(sys.argv[2])))
