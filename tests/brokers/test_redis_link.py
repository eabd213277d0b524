"""One link to a Redis server, below the broker."""

import asyncio

import pytest
from polling import eventually
from redis_servers import redis_server
from tcp_proxy import tcp_proxy

from hubbub.brokers.redis.link import Link, packed
from hubbub.brokers.redis.url import Address, Login, Settings


async def test_a_link_that_is_closed_lets_go_of_its_socket_though_the_server_has_not_read_it_all() -> None:
    with redis_server("valkey") as server:
        async with tcp_proxy(server.port) as proxy:
            link = await Link.open(Address("127.0.0.1", proxy.port), Settings(), Login())
            assert await link.ask(b"PING") == b"PONG"
            transport = link._connection._writer.transport  # type: ignore[union-attr]
            proxy.swallow()
            sending = asyncio.create_task(link.send(packed(b"PING", bytes(20_000_000))))
            await eventually(lambda: transport.get_write_buffer_size() > 0)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await link.close()
            assert transport.get_extra_info("socket").fileno() == -1
