"""What axe-core finds on a page that keeps people from using it."""

from importlib.resources import files

from playwright.async_api import Page

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()


async def serious_findings(page: Page) -> list[str]:
    """The findings of the grades serious and critical, each with the elements it is about."""
    await page.evaluate(AXE)  # through the debugger, which the page's policy does not bind
    found = await page.evaluate("axe.run()")
    return [
        f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
