"""Asking a backend over HTTP: bounded in time, in size and in number, and no state between two questions."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeVar

import aiohttp
import msgspec

from hubbub import __version__
from hubbub.centrifuge.errors import ClientError, Disconnect, ErrorCode
from hubbub.core.errors import HubbubError
from hubbub.core.stats import HookOutcome, Stats
from hubbub.gateway.handlers import CommandFailed
from hubbub.hub.parts import Parts
from hubbub.server.hooks.wire import Answer, DisconnectAnswer, ErrorAnswer, Event, Question

R = TypeVar("R")
T = TypeVar("T")

Headers: TypeAlias = Sequence[tuple[str, str]]

MAX_ANSWER_BYTES: Final = 1_048_576
"""Longest answer that is read."""

KEPT_ALIVE: Final = 1.5
"""Seconds that an idle connection is kept: less than servers do (2 and more), so that none closes it just as
a question goes out."""

PAUSE: Final = 10.0
"""Seconds between two lines in the log about the failures of one hook."""

_PLAIN: Final = (("Content-Type", "application/json"), ("Accept-Encoding", "identity"))
_encoder: Final = msgspec.json.Encoder()
_logger = logging.getLogger("hubbub")


class Unanswered(CommandFailed):
    """A backend has not answered, or with nonsense: the client is told 100, and may try again.

    Args:
        outcome: what is counted.
        said: for the log.
    """

    def __init__(self, outcome: HookOutcome, said: str) -> None:
        busy = outcome is HookOutcome.BUSY
        super().__init__(ErrorCode.TOO_MANY_REQUESTS if busy else ErrorCode.INTERNAL)
        self.outcome = outcome
        self.said = said


class Backend:
    """Asks. A companion of its hub: it begins and ends with it.

    Cookies that a backend sets are not kept: they would go along with the next client's question. Redirects
    are not followed, and proxies of the environment not used.

    Args:
        addresses: by event.
        timeout: seconds that an answer may take.
        most: questions that may be open; one more is refused.
        stats: counts.
    """

    __slots__ = ("_addresses", "_most", "_open", "_session", "_stats", "_timeout", "_told")

    def __init__(self, addresses: dict[str, str], *, timeout: float, most: int, stats: Stats) -> None:
        self._addresses = {Event(name): address for name, address in addresses.items()}
        self._timeout = timeout
        self._most = most
        self._stats = stats
        self._open = 0
        self._told: dict[Event, tuple[int, float]] = {}  # failures that were not told, and when one was
        self._session: aiohttp.ClientSession | None = None  # None while the hub does not run

    async def begin(self, parts: Parts) -> None:
        """The hub begins."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_ALIVE),  # `most` is the limit
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"hubbub/{__version__}"},
            timeout=aiohttp.ClientTimeout(),
            auto_decompress=False,
        )

    async def end(self) -> None:
        """The hub ends: nothing is asked any more."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def asked(self, event: Event) -> bool:
        """Whether there is an address for it."""
        return event in self._addresses

    async def ask(
        self,
        event: Event,
        question: Question,
        headers: Headers,
        decoder: "msgspec.json.Decoder[Answer[R]]",
        read: Callable[[R], T],
    ) -> T:
        """Ask, and read the result.

        Args:
            event: what about.
            question: the body.
            headers: besides those that every question has.
            decoder: of the answer.
            read: makes something of the result; an error of the hub that it raises says that it is nonsense.

        Raises:
            Unanswered: if there is no answer that can be read, or too many questions are open.
            CommandFailed: what the backend has answered in place of a result.
        """
        try:
            body = await self._timed(event, _encoder.encode(question), [*headers, *_PLAIN])
            answer = _understood(lambda: decoder.decode(body))
            refusal = answer.disconnect or answer.error
            if refusal is None:
                found = _understood(lambda: read(_result_of(answer)))
        except Unanswered as failure:
            self._stats.count_hook(event.value, failure.outcome)
            self._note_failure(event, failure)
            raise
        self._stats.count_hook(event.value, HookOutcome.REFUSED if refusal else HookOutcome.OK)
        if refusal is not None:
            raise CommandFailed(_reason(refusal))
        return found

    async def _timed(self, event: Event, body: bytes, headers: Headers) -> bytes:
        """The body of the answer, in time."""
        if self._open >= self._most:
            raise Unanswered(HookOutcome.BUSY, f"{self._open} questions are open")
        self._open += 1
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(self._addresses[event], body, headers)
        except TimeoutError as error:
            raise Unanswered(HookOutcome.TIMEOUT, f"no answer in {self._timeout:g} s") from error
        except aiohttp.ClientResponseError as error:  # this is no HTTP
            raise Unanswered(HookOutcome.INVALID, type(error).__name__) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unanswered(HookOutcome.UNREACHABLE, type(error).__name__) from error
        finally:
            self._open -= 1
            self._stats.hook_times.observe(time.perf_counter() - began)

    async def _post(self, address: str, body: bytes, headers: Headers) -> bytes:
        assert self._session is not None
        async with self._session.post(address, data=body, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise Unanswered(HookOutcome.STATUS, f"HTTP status {response.status}")
            parts, size = [], 0
            async for part in response.content.iter_any():
                size += len(part)
                if size > MAX_ANSWER_BYTES:
                    response.close()  # nobody reads the rest
                    raise Unanswered(HookOutcome.INVALID, f"more than {MAX_ANSWER_BYTES} bytes")
                parts.append(part)
            return b"".join(parts)

    def _note_failure(self, event: Event, failure: Unanswered) -> None:
        """Tell it, but not for each of a thousand clients that meet an outage."""
        more, told = self._told.get(event, (0, -PAUSE))
        now = time.monotonic()
        if now - told < PAUSE:
            self._told[event] = (more + 1, told)
            return
        self._told[event] = (0, now)
        _logger.error(
            "the %s hook: %s (and %d failures since the last line)", event.value, failure.said, more
        )


def _understood(read: Callable[[], T]) -> T:
    """What is read. Raises `Unanswered` if it cannot be."""
    try:
        return read()
    except Unanswered:
        raise
    except (msgspec.MsgspecError, HubbubError, RecursionError, UnicodeError) as error:
        # A message of `msgspec` has names and types in it, and nothing of what was said.
        said = str(error) if isinstance(error, msgspec.ValidationError) else "this is no answer"
        raise Unanswered(HookOutcome.INVALID, said) from error


def _result_of(answer: Answer[R]) -> R:
    """Centrifugo takes an answer without a result for a yes. So could be any JSON, of anybody: it is none."""
    if answer.result is None:
        raise Unanswered(HookOutcome.INVALID, "there is no result")
    return answer.result


def _reason(refusal: DisconnectAnswer | ErrorAnswer) -> ClientError | Disconnect:
    if isinstance(refusal, DisconnectAnswer):
        return Disconnect(refusal.code, refusal.reason or "")
    return ClientError(refusal.code, refusal.message or "", bool(refusal.temporary))
