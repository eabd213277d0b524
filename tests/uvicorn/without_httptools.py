"""The HTTP protocol without httptools, for a server process: `--http without_httptools:QuickHttp`."""

import sys

sys.modules["httptools"] = None  # type: ignore[assignment]  # importing it now fails

from hubbub.uvicorn import HttpProtocol  # noqa: E402
from hubbub.uvicorn.http_responses import HttpResponseProtocol  # noqa: E402


class QuickHttp(HttpProtocol):
    """The same with a short deadline."""

    head_timeout = 0.5


print("base:", HttpResponseProtocol.__mro__[2].__name__, flush=True)
