"""Runs inputs over targets and judges what comes out."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzz.mutation import mutate
from fuzz.targets import Target

CORPUS = Path(__file__).parent / "corpus"
MAX_SECONDS = 0.5  # of processor time; the slowest legal input takes about 10 ms


@dataclass(frozen=True, slots=True)
class Finding:
    target: str
    data: bytes
    what: str

    def __str__(self) -> str:
        return f"{self.target}: {self.what}\ninput: {self.data.hex()}"


def corpus_of(target: Target) -> list[bytes]:
    """In the order of the file names, so that a seed means the same everywhere."""
    return [file.read_bytes() for file in sorted((CORPUS / target.name).iterdir())]


def try_input(target: Target, data: bytes) -> Finding | None:
    started = time.process_time()
    try:
        target.decode(data)
    except target.refusals:
        pass
    except Exception:
        return Finding(target.name, data, traceback.format_exc(limit=-3))
    seconds = time.process_time() - started
    return Finding(target.name, data, f"took {seconds:.1f} s") if seconds > MAX_SECONDS else None


def fuzz(target: Target, inputs: int, seed: int) -> Finding | None:
    """The first finding, if there is one. The same seed tries the same inputs."""
    corpus = corpus_of(target)
    chance = Random(f"{seed} {target.name}")  # noqa: S311 - repeatable on purpose
    for _ in range(inputs):
        if finding := try_input(target, mutate(chance.choice(corpus), corpus, chance)):
            return finding
    return None
