"""What all tests share."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from chromium import SHELL, WHOLE, find_chromium, launched
from playwright.async_api import Browser

pytest.register_assert_rewrite(
    "broker_contract", "erasing_contract", "gateway_wire", "guests", "polling", "raw_client", "servers"
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests. Without a browser they fail, they are never skipped."""
    path = find_chromium(SHELL, *WHOLE)
    if path is None:
        pytest.fail("no browser: apt-get install chromium, or set HUBBUB_CHROMIUM to the path of a Chromium")
    async with launched(path) as browser:
        yield browser
