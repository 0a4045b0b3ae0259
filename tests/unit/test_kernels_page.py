"""docs/kernels.md, of runs that are made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernels.page import PAGE, Run, report, written
from kernels.report import Report

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
def found(tmp_path: Path) -> Report:
    refused = {"error": "pktexp ended: too old"}
    runs = [run(tmp_path, "6.1"), run(tmp_path, "5.10", refused, ""), Run("9.9", "-", tmp_path)]
    return report(runs, "2026-01-02")


@pytest.fixture
def page(found: Report) -> str:
    return written(found, "just test-kernels")


def test_each_kernel_has_a_column_of_features_and_passed_tests(page: str) -> None:
    told = rows(page)
    assert told["TCX"] == ["-", "no", "-"]
    assert told["ingress of a veth"] == ["-", "clsact-ingress", "-"]
    assert told["packets counted"] == ["-", "10 of 10", "-"]
    assert told["tests passed"] == ["-", "2", "-"]
    assert told["tests failed"] == ["-", "1", "-"]
    assert told["tests skipped"] == ["-", "1", "-"]


def test_failed_and_skipped_tests_are_listed_with_reasons(page: str) -> None:
    assert "- `test_b` (1) skipped: needs TCX (Linux 6.6)\n" in page
    assert "- `test_c` (1) failed: assert 9 == 10\n" in page
    assert "## 5.10\n\npktexp ended: too old\n" in page
    assert "## 9.9\n\nit did not come to its end\n" in page


def test_columns_run_from_the_oldest_kernel_to_the_newest(page: str) -> None:
    assert rows(page)["from"] == ["Debian", "Debian", "-"]
    assert "| | 5.10 | 6.1 | 9.9 |\n" in page


def test_page_states_its_command_and_each_kernels_date(page: str) -> None:
    assert "found by `just test-kernels`" in " ".join(page.split())
    assert rows(page)["run on"] == ["2026-01-02"] * 3


def test_run_of_one_kernel_keeps_the_other_columns(found: Report, tmp_path: Path) -> None:
    before = written(found, "just test-kernels")
    again = Report.parse(before)
    (tmp_path / "again").mkdir()
    again.update(report([run(tmp_path / "again", "9.9", junit="")], "2026-03-04"))
    after = written(again, "just test-kernels")
    assert rows(after)["run on"] == ["2026-01-02", "2026-01-02", "2026-03-04"]
    assert rows(after)["tests passed"] == rows(before)["tests passed"]
    assert "## 5.10\n\npktexp ended: too old\n" in after
    assert "## 9.9" not in after


def test_committed_page_is_what_its_writer_writes() -> None:
    page = PAGE.read_text("utf-8")
    assert written(Report.parse(page), "just test-kernels") == page
