"""Mutated frames, and the corpus cut at every byte: each passes, and counts once and correctly."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from support.fuzzing import campaign, corpus
from support.fuzzing.campaign import SETTINGS, Fuzzer, Outcome, Setting
from support.fuzzing.samples import OUTCOMES, REFUSED

MUTATED = 30_000
SEED = 1
CUT_TO = 320  # bytes after which a frame is not cut (mutate.h)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return campaign.build(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def frames() -> list[bytes]:
    return [*corpus.made(), *corpus.frames()]


def fuzz(driver: Path, seeds: Iterable[bytes], setting: Setting, **run: Any) -> Outcome:
    fuzzer = Fuzzer(driver, setting)
    try:
        path = campaign.write_seeds(driver.with_suffix(".seeds"), seeds, setting.link_type)
        return fuzzer.run(path, SEED, **run)
    finally:
        fuzzer.close()


def nothing_is_wrong(outcome: Outcome, setting: Setting) -> bool:
    wrong = outcome.frames.total() - outcome.frames[OUTCOMES[0]] - outcome.frames[OUTCOMES[REFUSED]]
    shown = [(s.outcome, s.frame.hex()) for s in outcome.samples if 0 < s.seen["wrong"] < REFUSED]
    assert not wrong, shown[:5]
    assert not (lines := campaign.checked(outcome, setting)), lines[:5]
    return True


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_mutated_frames_pass_and_count_alike_at_every_hook(
    driver: Path, frames: list[bytes], setting: Setting
) -> None:
    outcome = fuzz(driver, frames, setting, frames=MUTATED, every=20, cut=False)
    assert nothing_is_wrong(outcome, setting)
    assert outcome.frames.total() == MUTATED
    assert outcome.frames[OUTCOMES[0]] > 0.9 * MUTATED


@pytest.mark.parametrize("setting", SETTINGS[:2], ids=str)
def test_the_corpus_cut_at_every_byte_matches_the_dissector(driver: Path, setting: Setting) -> None:
    whole = corpus.frames()
    cuts = sum(min(len(frame), CUT_TO) - 13 for frame in whole)
    outcome = fuzz(driver, whole, setting, frames=cuts, every=5, cut=True)
    assert nothing_is_wrong(outcome, setting)
    kept = {sample.frame for sample in outcome.samples}
    assert {frame[:CUT_TO] for frame in whole} & kept
