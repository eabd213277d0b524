"""What the load tests share: an event loop that is quick, open files, and a table of their figures."""

import resource
from collections.abc import Callable, Iterator

import pytest
from figure_table import FIGURE, Tell, rows
from figures import FULL

# Its small form is tests/test_slow_reader.py.
collect_ignore = [] if FULL else ["test_stalled_reader.py"]

FILES = 16_384
"""Open files that the largest of them needs."""


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Raise the limit of open files, for this process and its servers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(FILES, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Put a figure into the table that is printed at the end, with what was promised."""

    def put(figure: str, value: str, promise: str = "") -> None:
        record_property(FIGURE, (figure, value, promise))

    return put


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    lines = rows([report for report in reports if getattr(report, "when", "") == "call"])
    if FULL and lines:
        terminalreporter.write_sep("=", "figures")
        terminalreporter.write_line("\n".join(lines))
