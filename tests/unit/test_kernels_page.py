"""docs/kernels.md, of runs that are made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernels.page import Run, written

JUNIT = """<testsuites><testsuite>
<testcase name="test_a[1]"/><testcase name="test_a[2]"/>
<testcase name="test_b"><skipped message="needs TCX (Linux 6.6)"/></testcase>
<testcase name="test_c"><failure message="assert 9 == 10&#10;more">text</failure></testcase>
</testsuite></testsuites>"""
SMOKE = {
    "check": {"checks": [{"name": "TCX", "state": "no"}, {"name": "release", "detail": "6.1.0"}]},
    "service": {"hooks": {"ingress": "clsact-ingress"}, "sent": 10, "counted": 10},
    "xdp": {"usual": "xdp-native", "jumbo": "clsact-ingress"},
}


def run(folder: Path, name: str, smoke: object = SMOKE, junit: str = JUNIT) -> Run:
    (share := folder / name).mkdir()
    (share / "smoke.json").write_text(json.dumps(smoke))
    if junit:
        (share / "junit.xml").write_text(junit)
    return Run(name, "Debian", share)


def rows(page: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return {first: rest for first, *rest in lines}


@pytest.fixture
def page(tmp_path: Path) -> str:
    refused = {"error": "pktexp ended: too old"}
    runs = [run(tmp_path, "6.1"), run(tmp_path, "5.10", refused, ""), Run("9.9", "-", tmp_path)]
    return written(runs, "2026-01-02", "just test-kernels")


def test_each_kernel_has_a_column_of_features_and_passed_tests(page: str) -> None:
    told = rows(page)
    assert told["TCX"] == ["no", "-", "-"]
    assert told["ingress of a veth"] == ["clsact-ingress", "-", "-"]
    assert told["packets counted"] == ["10 of 10", "-", "-"]
    assert told["tests passed"] == ["2", "-", "-"]
    assert told["tests failed"] == ["1", "-", "-"]
    assert told["tests skipped"] == ["1", "-", "-"]


def test_failed_and_skipped_tests_are_listed_with_reasons(page: str) -> None:
    assert "- `test_b` (1) skipped: needs TCX (Linux 6.6)\n" in page
    assert "- `test_c` (1) failed: assert 9 == 10\n" in page
    assert "5.10: pktexp ended: too old\n" in page
    assert "9.9: it did not come to its end\n" in page


def test_page_states_its_date_and_command(page: str) -> None:
    assert "2026-01-02 by `just test-kernels`" in " ".join(page.split())
