"""Who published: carried in `Publication.publisher`, which is one text."""

import msgspec

from hubbub.centrifuge.results import ClientInfo
from hubbub.core.messages import Publication
from hubbub.core.publishers import MARK

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ClientInfo)


def name_publisher(info: ClientInfo) -> str:
    """The publisher of what this client publishes. Its `conn_info` and `chan_info` have to be JSON."""
    return MARK + _encoder.encode(info).decode()


def publisher_info(publication: Publication) -> ClientInfo | None:
    """Who published, as clients of the protocol are told; a name alone is the `user`."""
    publisher = publication.publisher
    if publisher is None:
        return None
    if not publisher.startswith(MARK):
        return ClientInfo(publisher, "")
    try:
        return _decoder.decode(publisher[len(MARK) :])
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
