"""The servers that are measured, one file each, all speaking the same small protocol.

`/ws`     a text that arrives goes to every connection, its sender too
`/rooms`  first text `join ROOM ...`, answered by `joined`; then `pub ROOM TEXT` sends TEXT to ROOM's members
`/echo`   a text that arrives goes back to its sender
`/json`   as `/ws`, but the text is parsed as JSON and what is sent is made from the parsed value
"""
