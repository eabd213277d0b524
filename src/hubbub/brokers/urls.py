"""Taking the URL of a broker apart."""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

_AUTHORITY: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]*)")


def split_url(url: str) -> SplitResult:
    """The parts of a URL. `netloc` is not looked at, and may name several servers.

    `urllib.parse.urlsplit` takes one host for granted: in a list it raises ValueError for IPv6 addresses.
    """
    found = _AUTHORITY.match(url)
    if found is None:
        return urlsplit(url)
    return urlsplit(found[1] + url[found.end() :])._replace(netloc=found[2])
