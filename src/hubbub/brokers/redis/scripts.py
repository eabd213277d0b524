"""What runs inside the server: each script is one atomic step (Lua 5.1, EVALSHA)."""

import hashlib
from dataclasses import dataclass
from typing import Self

from hubbub.brokers.base import IDEMPOTENCY_WINDOW
from hubbub.brokers.redis.link import bulk

EMPTY_ROOM_TTL = 3_600
"""Seconds for which a room never written to keeps its epoch after somebody asked for its position."""

META_TTL = 2_592_000
"""Seconds for which offsets and epoch outlive the last publication, at least: 30 days."""

ONCE_MS = int(IDEMPOTENCY_WINDOW * 1000)

# What `meta` says is one string, ``offset:epoch:sum:kept``, which costs less than a hash. An epoch begins
# where there is none, and where the room was seen further on than the store is now: a server that came back
# with older data would otherwise give the same positions out twice. A log without a position is what a server
# short of memory leaves when it evicts the other key.
_POSITION = """
local function new_epoch()
  local time = redis.call('TIME')
  return ARGV[1] .. '.' .. time[1] .. '.' .. time[2]
end
local meta = redis.call('GET', KEYS[1])
local top, epoch, sum, kept = 0, nil, 0, 0
if meta then
  top, epoch, sum, kept = string.match(meta, '^(%d+):([^:]+):(%d+):(%d+)$')
end
if not epoch then top, sum, kept = 0, 0, 0 end
top = tonumber(top)
local renewed = not epoch or (epoch == ARGV[2] and top < tonumber(ARGV[3]))
if not epoch then redis.call('DEL', KEYS[2]) end
if renewed then epoch = new_epoch() end
"""

_KEEP_POSITION = f"""
if top == 0 then
  redis.call('SET', KEYS[1], '0:' .. epoch .. ':0:0', 'EX', {EMPTY_ROOM_TTL})
elseif renewed then
  redis.call('SET', KEYS[1], string.format('%.0f:%s:%s:%s', top, epoch, sum, kept), 'KEEPTTL')
end
"""

_EARLIER = """
local once = KEYS[3]
if once then
  local earlier = redis.call('GET', once)
  if earlier then return earlier end
end
"""

# `sum` is the bytes of all payloads of the epoch; each entry has the sum up to and with itself, so that the
# bytes of any run of entries are a difference. `kept` is never less than the bytes in the log, and is only
# reckoned exactly when it is over the limit: that is what spares a look at the oldest entry each time.
_PUBLISH = f"""
local size = ARGV[7]
sum, kept = sum + size, kept + size
local offset = string.format('%.0f', top + 1)
local function append()
  return redis.pcall('XADD', KEYS[2], 'MAXLEN', '=', ARGV[8], offset .. '-0',
    'e', ARGV[5], 't', ARGV[6], 's', string.format('%.0f', sum), 'n', size)
end
local answer = append()
if answer.err then
  if not string.find(answer.err, 'smaller than the target', 1, true) then return answer end
  redis.call('DEL', KEYS[2])
  epoch = new_epoch()
  append()
end
local limit = tonumber(ARGV[9])
while kept > limit do
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  kept = sum - oldest[2][6] + oldest[2][8]
  if kept <= limit or oldest[1] == offset .. '-0' then break end
  redis.call('XDEL', KEYS[2], oldest[1])
end
local place = offset .. ':' .. epoch .. ':'
redis.call('PEXPIRE', KEYS[2], ARGV[10])
redis.call('SET', KEYS[1], place .. string.format('%.0f:%.0f', sum, kept), 'PX', ARGV[11])
if once then redis.call('SET', once, place .. ARGV[6], 'PX', {ONCE_MS}) end
redis.call('PUBLISH', ARGV[4], place .. ARGV[5])
return place .. ARGV[6]
"""

_PUBLISH_ONCE = f"""
local earlier = redis.call('GET', KEYS[1])
if earlier then return earlier end
redis.call('SET', KEYS[1], '::' .. ARGV[3], 'PX', {ONCE_MS})
redis.call('PUBLISH', ARGV[1], '::' .. ARGV[2])
return '::' .. ARGV[3]
"""

# A stream cannot have another entry in the place of one: what was erased is remembered beside it, in a sorted
# set. The mark says the epoch, as the log may be begun anew. Marks live as long as the entry would have, and
# there are no more than the options let the log have entries: what is older is cut off with them. A mark that
# the server lost makes a resume fail, never a loss pass.
_ERASE = """
local size = tonumber(ARGV[6])
if ARGV[4] ~= epoch or redis.call('XDEL', KEYS[2], ARGV[5] .. '-0') == 0 then return 0 end
redis.call('ZADD', KEYS[3], ARGV[5], epoch .. ':' .. ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', top - size))
redis.call('XTRIM', KEYS[2], 'MINID', string.format('%.0f', math.max(0, top - size + 1)))
redis.call('PEXPIRE', KEYS[3], ARGV[7])
return 1
"""

# Times rise with offsets, so the first that is young enough is found by halving.
_READ = """
local since, limit, reverse, before = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1', tonumber(ARGV[8])
local function range(first) return redis.call('XRANGE', KEYS[2], first, '+', 'COUNT', limit) end
if ARGV[4] ~= '' then
  if ARGV[4] ~= epoch or since >= top then return {epoch, top, {}} end
  local first = string.format('%.0f', since + 1)
  return {epoch, top, range(first), redis.call('ZRANGEBYSCORE', KEYS[3], first, '+inf')}
end
if limit == 0 then return {epoch, top, {}} end
if reverse then return {epoch, top, redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', limit)} end
local function entry(first) return redis.call('XRANGE', KEYS[2], first, '+', 'COUNT', 1)[1] end
local oldest = entry('-')
if not oldest then return {epoch, top, {}} end
local low, high = tonumber(string.match(oldest[1], '^%d+')), top + 1
if tonumber(oldest[2][4]) < before then
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = entry(string.format('%.0f', middle))
    if found and tonumber(found[2][4]) < before then low = middle + 1 else high = middle end
  end
end
return {epoch, top, range(string.format('%.0f', low))}
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script and how it is called."""

    text: bytes
    sha: bytes

    @classmethod
    def of(cls, text: str) -> Self:
        """The script with that text."""
        data = text.encode()
        return cls(data, hashlib.sha1(data, usedforsecurity=False).hexdigest().encode())

    def by_name(self, count: int) -> bytes:
        """The beginning of a packed call with so many further parts, for a server that knows the script."""
        return b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n" % (count + 2, self.sha)

    def by_text(self, count: int) -> bytes:
        """The beginning of a packed call with so many further parts, for a server that does not."""
        return b"*%d\r\n$4\r\nEVAL\r\n" % (count + 2) + bulk(self.text)


@dataclass(frozen=True, slots=True)
class Scripts:
    """The scripts for one kind of server.

    `position` (meta, log; beginning of a new epoch, known epoch, known offset) answers epoch and top.
    `publish` (meta, log[, once]; the same three, channel, envelope, time, bytes, size, limit of bytes, ms
    that entries live, ms that the position lives) answers ``offset:epoch:time``.
    `publish_once` (once; channel, envelope, time) answers ``::time``.
    `read` (meta, log, erased; the same three, since epoch, since offset, limit, reverse, time) answers epoch,
    top, entries, and the marks of what was erased after `since`.
    `erase` (meta, log, erased; the same three, epoch, offset, size of the history, ms that entries live)
    answers how many were erased.
    """

    position: Script
    publish: Script
    publish_once: Script
    read: Script
    erase: Script

    @classmethod
    def of(cls, cluster: bool) -> Self:
        """The scripts that publish to the channels of a cluster's shards, or to those of a single server."""

        def made(*parts: str) -> Script:
            text = "".join(parts)
            return Script.of(text.replace("'PUBLISH'", "'SPUBLISH'") if cluster else text)

        return cls(
            made(_POSITION, _KEEP_POSITION, "return {epoch, top}\n"),
            made(_EARLIER, _POSITION, _PUBLISH),
            made(_PUBLISH_ONCE),
            made(_POSITION, _KEEP_POSITION, _READ),
            made(_POSITION, _KEEP_POSITION, _ERASE),
        )
