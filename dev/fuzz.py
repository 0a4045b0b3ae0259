"""Feeds mutated frames to the programs, as root; run it with `just fuzz`.

Seeds are the frames of the tests, tests/corpus, and the captures that PKTEXP_CAPTURES names or that
lie in `shared/captures` beside the project. Ends with status 1 if anything was wrong; such frames
are written to a capture.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pktexp.commands.replay.captures import reading
from pktexp.errors import PktexpError
from support.fuzzing import campaign
from support.fuzzing.campaign import SETTINGS, Fuzzer, Setting
from support.fuzzing.corpus import frames as corpus
from support.fuzzing.corpus import made, write
from support.fuzzing.samples import OUTCOMES, REFUSED

ROOT = Path(__file__).parents[1]
CAPTURES = Path(os.environ.get("PKTEXP_CAPTURES", ROOT.parent / "shared" / "captures"))
FROM_EACH = 4  # packets of a capture: later ones are mostly alike
CHUNK, EVERY = 100_000, 100


def captured() -> Iterator[bytes]:
    """Some packets of each capture."""
    for path in sorted(p for p in CAPTURES.rglob("*") if "cap" in p.suffix):
        try:
            with reading(path) as packets:
                yield from (packet.data for packet in itertools.islice(packets, FROM_EACH))
        except PktexpError:
            continue  # broken from there on


class Run:
    """All settings in turn, each with frames of its own; what came of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._seeds = [*made(), *corpus(), *captured()]
        self.frames: Counter[str] = Counter()
        self.wrong: list[bytes] = []
        self.lines: list[str] = []
        self.compared = 0

    def chunk(self, number: int, frames: int, fuzzer: Fuzzer, setting: Setting) -> None:
        """Of a number, the frames are always the same."""
        seeds = campaign.write_seeds(self._folder / "seeds", self._seeds, setting.link_type)
        cut = number < len(SETTINGS)
        outcome = fuzzer.run(seeds, self._seed * 1_000_003 + number, frames, EVERY, cut=cut)
        self.frames += outcome.frames
        self.lines += campaign.checked(outcome, setting)
        self.compared += len(outcome.samples) * (not setting.cached)
        good = (OUTCOMES[0], OUTCOMES[REFUSED])
        self.wrong += [s.frame for s in outcome.samples if s.outcome not in good]

    def until(self, seconds: float, frames: int) -> None:
        """Whichever comes first."""
        driver = campaign.build(self._folder)
        fuzzers = [Fuzzer(driver, setting) for setting in SETTINGS]
        end = time.monotonic() + seconds
        for number, (fuzzer, setting) in enumerate(
            itertools.cycle(zip(fuzzers, SETTINGS, strict=True))
        ):
            left = frames - self.frames.total()
            if left <= 0 or time.monotonic() >= end:
                break
            self.chunk(number, min(left, CHUNK), fuzzer, setting)
        for fuzzer in fuzzers:
            fuzzer.close()

    def report(self) -> str:
        """A line for each number."""
        numbers = {"frames": self.frames.total(), **{o: self.frames[o] for o in OUTCOMES}}
        numbers |= {"compared with the dissector": self.compared, "unlike it": len(self.lines)}
        rows = [f"{count:>12,} {what}" for what, count in numbers.items()]
        return "\n".join([*self.lines[:20], *rows, f"{'seed':>12} {self._seed}"])


def main() -> None:
    """Two bounds, and where the frames come from."""
    parser = argparse.ArgumentParser(description="mutated frames through the programs")
    parser.add_argument("seconds", type=float, nargs="?", help="default: 60, or no bound")
    parser.add_argument("--frames", type=int, help="how many, of all settings together")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    parser.add_argument("--out", type=Path, default=Path("fuzz.pcap"), help="for wrong frames")
    given = parser.parse_args()
    seconds = given.seconds or (float("inf") if given.frames else 60)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), given.seed)
        run.until(seconds, given.frames or sys.maxsize)
    print(run.report())
    if run.wrong:
        write(given.out, run.wrong)
        print(f"frames that went wrong: {given.out}")
    sys.exit(bool(run.wrong or run.lines))


if __name__ == "__main__":
    main()
