"""Chromium, as all tests of the browser's side launch it."""

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, async_playwright

ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


SHELL: Final = "chromium-headless-shell"
"""Chromium without a user interface needs half the processor time, and keeps no page for the way back."""

WHOLE: Final = ("chromium", "chromium-browser", "google-chrome")


def find_chromium(*names: str) -> str | None:
    """The path of the first of these, or of the one that is set, if it can be one of them; None for none."""
    given = os.environ.get("HUBBUB_CHROMIUM")
    if given and (SHELL in names or not Path(given).name.endswith("shell")):
        return given
    return next(filter(None, map(shutil.which, names)), None)


@asynccontextmanager
async def launched(path: str, without: Sequence[str] = ()) -> AsyncIterator[Browser]:
    """The browser at that path; `without` names arguments of Playwright's that it is not to have."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=ARGUMENTS, ignore_default_args=list(without)
        )
        yield browser
        await browser.close()
