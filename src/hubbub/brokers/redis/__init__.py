"""The broker over Redis (6.2 and newer) or Valkey.

What it keeps there, for a room R under the prefix P (``hubbub`` unless set) and the database number D:

=================== ======= ================================================================================
name                type    what
=================== ======= ================================================================================
``P:{R}:meta``      string  ``offset:epoch:sum:kept``: the newest offset and its epoch, the bytes of all
                            payloads there have been, and of those in the log at most; kept for 30 days
                            after the last publish, for an hour in a room never written to
``P:{R}:log``       stream  the publications, each with the id ``offset-0`` and the fields ``e`` (envelope),
                            ``t`` (time in seconds), ``s`` (sum up to here), ``n`` (bytes of payload);
                            kept for the history's ttl after the last publish
``P:{R}:erased``    zset    what was erased of the log, ``epoch:offset`` at the score of the offset; kept for
                            the history's ttl after the last erasure
``P:{R}:once:K``    string  ``offset:epoch:time`` of what was published with the idempotency key K; 300 s
``P:{K}:claim``     string  an open claim of K; kept for the claim's time
``P:D:{R}``         channel ``offset:epoch:`` and the envelope; ``::`` and the envelope in a room without
                            history. Channels do not belong to a database, so they name it
=================== ======= ================================================================================

The braces make all keys and the channel of a room live on one node of a cluster.
"""

from hubbub.brokers.redis.broker import RedisBroker

__all__ = ["RedisBroker"]
