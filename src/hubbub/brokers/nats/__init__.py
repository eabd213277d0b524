"""The NATS broker: ``nats://`` and ``tls://``, for NATS 2.12 or newer with JetStream.

How rooms are mapped, and why:

- **A room without history** is a subject, ``<prefix>.room.<room>``. A publish is confirmed by an echo of the
  server that all publishes of a tick share. With an idempotency key it goes through a small stream with a
  duplicate window, which repeats it on the room's subject.
- **A room with history** is a subject of one stream for all rooms, ``<prefix>.in.<room>``. A stream for each
  room would cost the server a Raft group, files and memory for every one of thousands.
- **Offsets** are consecutive per room, the stream's sequence is not. So each record says its epoch and its
  offsets itself, and is accepted only right after the room's last record
  (``Nats-Expected-Last-Subject-Sequence``): who loses a race reads the new last record and tries again.
  JetStream's counters (2.12) would count without a race, but cannot carry a payload.
- **Delivery** is the stream's own: it repeats what it has stored on ``<prefix>.room.<room>``
  (``republish``). To hear ``in`` directly would not do: subscribers there hear what the stream refuses, too.
- **Speed**: one writer per room and node. What is published while a record is under way goes together into
  the next record, so a busy room costs a round trip for up to 128 publications, and its order is the order
  of the calls. Atomic batches (2.12) would do the same with a message each, and a server allows 50 at a
  time.
- **Epochs** are random, and begin with a room's first record. A room that is read while it is empty gets a
  marker: a record without publications that says where the room stands. Whatever the reason for which a
  room's last record is gone (its 30 days are over, the stream was full, it was lost), the room begins again
  in a new epoch; so no position ever lies.
- **The stream's name** is made when the stream is, and each write names it (``Nats-Expected-Stream``):
  nothing learned of an old stream is mistaken for something of a new one.
- **Retention**: readers apply size, age and bytes exactly. Writers delete what is pushed out in steps, so
  that the stream holds little more. Publications of a room nobody publishes to any more stay in the stream,
  unread, until they are 30 days old or the stream is full (`NatsOptions.history_bytes`, oldest discarded
  first).
- **Erasing**: a message cannot be changed, and has several publications. So a record at the end of the room's
  restates them, with nothing in the place of the erased one, and the message that had them is deleted, which
  the server writes over (`hubbub.brokers.nats.erasing`). Offsets say where they belong
  (`hubbub.brokers.nats.runs`). To a node that does not know such records it is a marker.
- **A server that was set back** to older data, from a backup or by a crash of its machine, is noticed by
  each node when it connects, before it publishes: the stream is shorter than what the node has seen, or has
  another record in the place of the newest that it saw (`hubbub.brokers.nats.seen`). Rooms that lost
  something begin a new epoch: those that are followed at once, others before they are read or written to
  again. Until the first node that saw the lost ones is back, others may give their offsets again; its
  new epoch then tells everybody of a gap.
- **Losses**: what the connection lost is found by position, at the next publication of the room, after each
  reconnect, and every second for idle rooms, and is read from the stream (`hubbub.brokers.followed`).
"""

from hubbub.brokers.nats.broker import NatsBroker
from hubbub.brokers.nats.options import NatsOptions

__all__ = ["NatsBroker", "NatsOptions"]
