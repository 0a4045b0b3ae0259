"""The history against a plain model in lists."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktexp.live.history import GROUP_MEMBERS, SECONDS, Group, History, grouped
from pktexp.packet import labels
from pktexp.packet.enums import PacketClass

LIMIT = 2
NONE = math.nan
SHAPE = (2, len(Group), 2)


@dataclass
class Model:
    """Rates of every lease that ever was, by second; None where there is none."""

    rates: dict[int, dict[int, float]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    places: list[int] = field(default_factory=list)
    last: int | None = None

    def add(self, second: int, counts: dict[int, int]) -> None:
        for lease in [lease for lease in self.places if lease not in counts]:
            self.places.remove(lease)
            del self.rates[lease], self.counts[lease]
        for lease in counts:
            if lease not in self.places and len(self.places) < LIMIT:
                self.places.append(lease)
                self.rates[lease] = {}
        for lease in self.places:
            if self.last is not None and lease in self.counts:
                grown = counts[lease] - self.counts[lease]
                self.rates[lease][second] = grown / (second - self.last)
            self.counts[lease] = counts[lease]
        self.last = second

    def means(self, lease: int, seconds: int, step: int) -> list[float]:
        assert self.last is not None
        means: list[float] = []
        for end in range(self.last, self.last - seconds, -step):
            of = [self.rates[lease].get(second) for second in range(end - step + 1, end + 1)]
            oldest = self.last - SECONDS
            kept = [x for i, x in enumerate(of) if x is not None and end - step + 1 + i > oldest]
            means.append(sum(kept) / len(kept) if kept else NONE)
        return means[::-1]


def array(counts: dict[int, int]) -> npt.NDArray[np.uint64]:
    """The same for every direction, group and unit, and yet all different."""
    offsets = np.arange(math.prod(SHAPE), dtype=np.uint64).reshape(SHAPE)
    every = [np.uint64(count) * (offsets + np.uint64(1)) for count in counts.values()]
    return np.array(every, np.uint64).reshape(-1, *SHAPE)


def told(history: History, lease: int, seconds: int, step: int) -> list[list[float]]:
    """A row for each direction, group and unit, all the same; none without a ring."""
    rates = history.read(lease, seconds, step)
    if rates is None:
        return []
    flat = rates.reshape(-1, rates.shape[-1]) / np.arange(1, math.prod(SHAPE) + 1)[:, None]
    rows: list[list[float]] = flat.tolist()
    return rows


STEPS = st.tuples(
    st.one_of(st.integers(1, 3), st.integers(SECONDS - 2, SECONDS + 2), st.just(10**6)),
    st.dictionaries(st.integers(1, 4), st.integers(0, 1000), max_size=4),
)


@settings(deadline=None)
@given(
    st.lists(STEPS, min_size=1, max_size=12),
    st.integers(1, SECONDS),
    st.integers(1, 60),
)
def test_history_equals_a_plain_model(
    steps: list[tuple[int, dict[int, int]]], seconds: int, step: int
) -> None:
    history, model, second = History(LIMIT), Model(), 1_000_000
    counts: dict[int, int] = {}
    for passed, grown in steps:
        second += passed
        counts = {lease: counts.get(lease, 0) + more for lease, more in grown.items()}
        history.add(second, list(counts), array(counts))
        model.add(second, counts)
    assert history.interfaces == len(model.places)
    for lease in range(1, 5):
        found = told(history, lease, seconds, step)
        assert bool(found) == (lease in model.places)
        for row in found:
            assert row == pytest.approx(model.means(lease, seconds, step), rel=1e-6, nan_ok=True)


def test_rates_times_their_seconds_equal_the_growth_of_counters() -> None:
    history = History()
    for second, count in ((10, 5), (11, 7), (14, 70), (15, 71)):
        history.add(second, [3], array({3: count}))
    row, *_ = told(history, 3, 6, 1)
    assert row == pytest.approx([NONE, 2, NONE, NONE, 21, 1], nan_ok=True)
    assert 2 + 21 * 3 + 1 == 71 - 5


def test_steps_before_the_history_are_empty() -> None:
    history = History()
    for second in (1, 2, 3):
        history.add(second, [3], array({3: second}))
    row, *_ = told(history, 3, SECONDS, 7)  # 129 steps are three seconds more than it keeps
    assert row == pytest.approx([NONE] * 128 + [1], nan_ok=True)


def test_lease_of_another_interface_begins_without_history() -> None:
    history = History(limit=1)
    history.add(1, [7], array({7: 10}))
    history.add(2, [7], array({7: 30}))
    history.add(3, [8], array({8: 5}))
    assert not told(history, 7, 10, 1)
    assert np.isnan(told(history, 8, 10, 1)).all()


def test_memory_stays_at_the_stated_size() -> None:
    history = History()
    before = history.nbytes
    for second in range(1, 30):
        history.add(second, list(range(1000)), np.zeros((1000, *SHAPE), np.uint64))
    assert history.nbytes == before < 10 << 20
    assert history.interfaces == history.limit


def test_every_class_of_packets_is_in_one_group() -> None:
    assert sorted(itertools.chain.from_iterable(GROUP_MEMBERS)) == list(range(PacketClass.COUNT))
    tallies = np.ones((1, 2, PacketClass.COUNT, 2), np.uint64)
    assert grouped(tallies)[0, 0, :, 0].tolist() == [len(of) for of in GROUP_MEMBERS]
    names = {labels.PACKET_CLASSES[c][0] for c in GROUP_MEMBERS[Group.ICMP]}
    assert names == {"icmp", "icmpv6"}
