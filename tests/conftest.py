"""Fixtures that every folder of tests may use, and the rule that a skipped test is a failed one."""

from collections.abc import Generator, Mapping

import pytest

pytest_plugins = ("tests.emulators.fixtures",)

NO_DISK = "Making a small disk needs the right to mount; other tests show a full one by a limit on the size of files."

MAY_BE_SKIPPED: Mapping[str, str] = {
    "tests/work/test_collect.py::test_a_full_disk_is_said_to_be_full": NO_DISK,
    "tests/work/test_collect.py::test_a_full_disk_beside_the_converter": NO_DISK,
}
"""Test -> why it cannot run on every machine."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what is skipped without a reason in the list."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.nodeid.partition("[")[0] not in MAY_BE_SKIPPED:
        report.outcome = "failed"
        report.longrepr = f"It was skipped, and MAY_BE_SKIPPED does not say why: {report.longrepr}"
    return report
