"""One link to a Redis server, below the broker."""

import asyncio

import pytest
from polling import eventually
from ports import free_port
from redis_servers import redis_server
from tcp_proxy import tcp_proxy

from hubbub.brokers.redis.link import Link, packed
from hubbub.brokers.redis.url import Address, Login, Settings
from hubbub.core.errors import BrokerError


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


async def test_a_server_that_takes_no_more_clients_is_quoted() -> None:
    with redis_server("valkey", "--maxclients", "1") as server:
        address = Address("127.0.0.1", server.port)
        first = await Link.open(address, Settings(), Login())
        try:
            for _ in range(3):
                with pytest.raises(BrokerError, match=r"no link .*: ERR max number of clients reached$"):
                    await Link.open(address, Settings(), Login())
        finally:
            await first.close()


async def test_a_server_that_is_not_there_is_asked_nothing_more() -> None:
    with pytest.raises(BrokerError, match=r"no link .* [Cc]onnect"):
        await Link.open(Address("127.0.0.1", free_port()), Settings(), Login())
