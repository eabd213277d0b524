"""What send() takes while there is no connection waits, in order and bounded, and goes out on open."""

import pytest
from client_page import ClientPage
from scripted_server import receive

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_messages_sent_before_the_open_arrive_in_order(client: ClientPage) -> None:
    await client.js("""() => {
        connect("/ws");
        for (let i = 0; i < 100; i += 1) socket.send(`message ${i}`);
    }""")
    server = await client.server.connection()
    assert await receive(server, 100) == [f"message {i}" for i in range(100)]
    assert await client.js("socket.bufferedAmount") == 0


async def test_messages_sent_while_it_was_away_arrive_once_and_in_order(client: ClientPage) -> None:
    await client.open(minDelay=20, maxDelay=50)
    first = await client.server.connection()
    client.server.refuse = True
    await first.close(1012)
    await client.event("reconnecting", 3)
    await client.js("for (let i = 0; i < 50; i += 1) socket.send(`message ${i}`)")
    client.server.refuse = False
    second = await client.server.connection()
    await client.event("open", 2)
    await client.js("socket.send('last')")
    assert await receive(second, 51) == [*(f"message {i}" for i in range(50)), "last"]
    await second.close(1012)
    third = await client.server.connection()
    await client.event("open", 3)
    await client.js("socket.send('only this')")
    assert await receive(third) == ["only this"]


async def test_what_open_handlers_send_goes_ahead_of_the_queue(client: ClientPage) -> None:
    await client.js("""() => {
        connect("/ws");
        socket.send("queued");
        socket.onopen = () => socket.send("token");
    }""")
    server = await client.server.connection()
    assert await receive(server, 2) == ["token", "queued"]


async def test_buffered_amount_counts_the_bytes_of_the_queue(client: ClientPage) -> None:
    client.server.hang = True
    await client.open()
    amounts = await client.js("""[
        "text \\u00e9 \\ud83d\\ude00", new Uint8Array(7), new ArrayBuffer(5), new Blob(["1234"]), "",
    ].map((data) => (socket.send(data), socket.bufferedAmount))""")
    assert amounts == [12, 19, 24, 28, 28]


async def test_a_full_queue_throws_and_keeps_what_it_has(client: ClientPage) -> None:
    await client.js("""() => {
        connect("/ws", [], { maxQueueBytes: 10 });
        socket.send("12345");
        socket.send("6789");
        window.thrown = [];
        for (const data of ["\\u00e9", new Uint8Array(2), new Blob(["ab"])]) {
            try { socket.send(data); }
            catch (error) { thrown.push([error.name, error instanceof DOMException]); }
        }
        socket.send("0");
    }""")
    assert await client.js("thrown") == [["QuotaExceededError", True]] * 3
    server = await client.server.connection()
    assert await receive(server, 3) == ["12345", "6789", "0"]
    await client.js("socket.send('open again')")
    assert await receive(server) == ["open again"]


async def test_the_queue_holds_one_mebibyte(client: ClientPage) -> None:
    client.server.hang = True
    await client.open()
    await client.js("socket.send('x'.repeat(1048576))")
    name = await client.js("(() => { try { socket.send('x') } catch (error) { return error.name } })()")
    assert name == "QuotaExceededError"


async def test_empty_messages_cannot_grow_the_queue_without_end(client: ClientPage) -> None:
    client.server.hang = True
    await client.open(maxQueueBytes=3)
    thrown = await client.js("""[1, 2, 3, 4].map(() => {
        try { socket.send("") } catch (error) { return error.name }
    })""")
    assert thrown == [None, None, None, "QuotaExceededError"]


async def test_binary_data_is_queued_as_it_was_when_it_was_sent(client: ClientPage) -> None:
    await client.js("""() => {
        connect("/ws");
        const bytes = new Uint8Array([1, 2]);
        socket.send(bytes);
        socket.send(bytes.buffer);
        bytes.fill(9);
    }""")
    server = await client.server.connection()
    assert await receive(server, 2) == [b"\1\2", b"\1\2"]


async def test_a_message_sent_in_the_close_handler_waits_for_the_next_connection(client: ClientPage) -> None:
    await client.open(minDelay=20)
    await client.js("void socket.addEventListener('close', () => socket.send('in the close handler'))")
    await (await client.server.connection()).close(1012)
    second = await client.server.connection()
    assert await receive(second) == ["in the close handler"]


async def test_after_the_end_messages_are_dropped_with_a_warning_and_counted(client: ClientPage) -> None:
    await client.open()
    await (await client.server.connection()).close(1008)
    await client.event("close")
    async with client.page.expect_console_message() as warning:
        assert await client.js("(socket.send('four'), socket.bufferedAmount)") == 4
    assert (await warning.value).text == "Closed: message dropped"


async def test_what_never_went_out_stays_in_buffered_amount_after_the_end(client: ClientPage) -> None:
    client.server.hang = True
    await client.open()
    await client.js("(socket.send('four'), socket.close())")
    await client.event("close")
    assert await client.js("socket.bufferedAmount") == 4
