"""Publishing into rooms without history."""

import msgspec

from hubbub.brokers.nats.records import decode_record, encode_record
from hubbub.brokers.nats.session import Session
from hubbub.brokers.nats.streams import Ack, decode_answer, get_message
from hubbub.core.errors import BrokerError
from hubbub.core.messages import Publication


async def publish_plain(
    session: Session, publication: Publication, data: bytes, message_id: str | None
) -> Publication:
    """Publish on the room's subject; the publishes of one tick share one confirmation.

    With a message id it goes through a stream that repeats it on the room's subject, and that drops a second
    one of the same id.

    Raises:
        BrokerError: if it was not accepted, or if that is unknown.
    """
    record = encode_record("", 0, (data,))
    if message_id is None:
        await session.link.publish(session.subjects.live(publication.room), record)
        await session.link.barrier()
        return publication
    headers = {"Nats-Msg-Id": message_id, "Nats-Expected-Stream": session.streams.once}
    reply = await session.link.request(session.subjects.once(publication.room), record, headers)
    ack = decode_answer(reply.data, Ack)
    if ack.error is not None:
        raise BrokerError(f"JetStream refused it: {ack.error.description}")
    if not ack.duplicate:
        return publication
    streams = session.streams
    first = await get_message(session.link, streams.once, {"seq": ack.seq}, streams.replicas)
    if first is None:  # discarded for want of room; of the first one only its time is unknown
        return publication
    time = next(decode_record(first[1]).publications(publication.room)).time
    return msgspec.structs.replace(publication, time=time)
