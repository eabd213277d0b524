"""Claims: the first caller on any node gets a key for a time."""

import math
import time
from typing import Final

import msgspec

from hubbub.brokers.nats.session import Session
from hubbub.brokers.nats.streams import WRONG_LAST_SEQUENCE, Ack, decode_answer, get_message
from hubbub.core.errors import BrokerError

TRIES: Final = 3


async def claim(session: Session, key: str, ttl: float) -> bool:
    """True for the first caller within `ttl` seconds.

    The message with the claim ends by itself, but JetStream counts in whole seconds: so it says when the
    claim ends, and an ended one is replaced if it is still the same.

    Raises:
        BrokerError: if the server does not answer, or if too many claims are open.
    """
    subject, streams = session.subjects.claim(key), session.streams
    seq = 0
    for _ in range(TRIES):
        if await _write(session, subject, seq, ttl):
            return True
        query = {"last_by_subj": subject}
        found = await get_message(session.link, streams.claims, query, streams.replicas)
        if found is None:
            seq = 0
            continue
        seq, ends = found[0], decode_answer(found[1], float)
        if ends > time.time():
            return False
    return False  # others were quicker each time


async def _write(session: Session, subject: str, seq: int, ttl: float) -> bool:
    headers = {
        "Nats-Expected-Last-Subject-Sequence": str(seq),
        "Nats-TTL": f"{max(1, math.ceil(ttl))}s",
    }
    reply = await session.link.request(subject, msgspec.json.encode(time.time() + ttl), headers)
    ack = decode_answer(reply.data, Ack)
    if ack.error is None:
        return True
    if ack.error.err_code in WRONG_LAST_SEQUENCE:
        return False
    raise BrokerError(f"the claim was refused: {ack.error.description}")
