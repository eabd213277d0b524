"""The Centrifuge client protocol, so that its official SDKs work with a hub unmodified.

The pure parts are here: what travels (`requests`, `results`), its two encodings (`json_codec`,
`protobuf_codec`), the fossil deltas, and `Session`, the state machine of one client. None of them has an
event loop, a clock or a socket. The public definition of the protocol is ``definitions/client.proto`` of the
repository centrifugal/protocol; ``client.proto`` here says in our own words what of it is spoken.
"""
