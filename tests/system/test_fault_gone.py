"""Interfaces whose namespaces are deleted by the hundred: no warning, nothing counted, no leak."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from support.netns.namespace import Namespace, making
from support.patience import finished, wait_for
from support.service.process import Service, serving, total

ROUNDS, NAMESPACES, EACH = 6, 5, 20  # 600 interfaces
ROOM = ("--max-interfaces", "128")  # for those of one round: slots are leased again
FULL = 2  # rounds after which every slot was leased, and every buffer has its size
GROWTH = 4 << 20  # bytes that the process may gain afterwards
QUIET = (
    "pktexp_interface_reattachments_total",
    "pktexp_interface_attach_failures_total",
    "pktexp_interface_follow_failures_total",
)
names = (f"v{number}" for number in itertools.count())


def come_and_go(service: Service, b: Namespace) -> list[str]:
    """Make namespaces with interfaces that lead to `b`, delete them; return the names in `b`."""
    made = [next(names) for _ in range(NAMESPACES * EACH)]
    with making() as make:
        for first in range(0, len(made), EACH):
            some = made[first : first + EACH]
            lines = [f"link add p{name} type veth peer name {name} netns {b.name}" for name in some]
            finished(make().command("ip", "-batch", "-"), input="\n".join(lines), check=True)
        for name in made:
            service.wait_for_line(f"{name}: counting at")
    gone = {f"{name}: gone" for name in made}
    wait_for(lambda: gone <= set(service.messages("INFO")))
    return made


def test_600_interfaces_whose_namespaces_are_deleted_leave_nothing(
    namespaces: Callable[[], Namespace],
) -> None:
    b = namespaces()
    with serving(b, *ROOM) as service:
        service.page()
        kinds = ("prog", "map", "link")
        before = service.open_files(), [service.held(kind) for kind in kinds]
        made, sizes = [], []
        for _ in range(ROUNDS):
            made += come_and_go(service, b)
            page = service.page()
            sizes.append(service.resident())
        assert len(made) == len(set(made)) == 600
        assert [service.messages().count(f"{name}: gone") for name in made] == [1] * 600
        assert service.messages("WARNING", "ERROR") == []
        assert {name: total(page, name) for name in QUIET} == dict.fromkeys(QUIET, 0)
        wait_for(lambda: service.open_files() <= before[0])
        assert [service.held(kind) for kind in kinds] == before[1]
        assert sizes[-1] - sizes[FULL] < GROWTH, sizes
