"""A hub over the in-memory transport: how it begins and ends, and in the style of the tutorial."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import anyio.from_thread
import anyio.to_thread
import pytest
from guests import guest, route
from polling import DEADLINE, eventually, turns
from starlette.applications import Starlette
from starlette.websockets import WebSocket, WebSocketDisconnect

from hubbub import (
    BrokerError,
    ConfigurationError,
    Disconnected,
    Hub,
    HubNotRunning,
    Limits,
    Protection,
    User,
)
from hubbub.asgi.events import Event
from hubbub.brokers import MemoryBroker
from hubbub.brokers.base import Receiver
from hubbub.testing import HandshakeRejected, connect, running


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub(limits=Limits(close_timeout=0.5, rooms_per_connection=2)) as hub:
        yield hub
    assert hub.connection_count == 0


# The tutorial's style


async def tutorial(websocket: WebSocket, hub: Hub) -> None:
    """The tutorial's route with nothing changed but the class."""
    room = websocket.path_params["rest"]
    await hub.join(room, websocket)
    await hub.broadcast_to_room(room, f"joined #{room}")
    try:
        while True:
            text = await websocket.receive_text()
            await hub.send_personal(f"you said {text}", websocket)
            await hub.broadcast_to_room(room, text)
    except WebSocketDisconnect:
        hub.leave(room, websocket)
        await hub.broadcast_to_room(room, "left")


async def test_the_tutorials_room_works_with_the_class_swapped(hub: Hub) -> None:
    app = route(lambda websocket: tutorial(websocket, hub))
    async with connect(app, "/den") as ada:
        assert await ada.receive() == "joined #den"
        async with connect(app, "/den") as bob:
            assert await ada.receive() == "joined #den"
            assert await bob.receive() == "joined #den"
            await bob.send("hello")
            assert [await bob.receive(), await bob.receive()] == ["you said hello", "hello"]
            assert await ada.receive() == "hello"
        assert await ada.receive() == "left"
        assert hub.room_count("den") == 1
    await eventually(lambda: hub.connection_count == 0)


async def test_a_handler_that_crashes_in_the_tutorials_style_leaves_no_ghost(hub: Hub) -> None:
    async def crash(websocket: WebSocket) -> None:
        await hub.connect(websocket)
        await hub.join("r", websocket)
        await websocket.receive_text()
        raise ZeroDivisionError

    async with connect(route(crash), raise_app_exceptions=False) as client:
        assert (hub.connection_count, hub.room_count("r")) == (1, 1)
        await client.send("go")
        await eventually(lambda: isinstance(client.error, ZeroDivisionError))
        client.error = None  # the traceback holds the handler's frame, as long as somebody holds the error
        gc.collect()
        await eventually(lambda: (hub.connection_count, hub.rooms) == (0, []))


async def test_a_refused_join_tells_the_client_and_closes_with_1008(hub: Hub) -> None:
    async with connect(route(lambda websocket: tutorial(websocket, hub)), "/bad room") as client:
        assert (await client.receive_json())["type"] == "error"
        assert (await client.wait_closed()).code == 1008
    await eventually(lambda: hub.connection_count == 0)


async def test_the_hub_answers_for_a_websocket_it_never_saw(hub: Hub) -> None:
    async def stranger(websocket: WebSocket) -> None:
        hub.leave("r", websocket)
        hub.disconnect(websocket)
        await websocket.accept()
        await websocket.close()

    async with connect(route(stranger)) as client:
        assert (await client.wait_closed()).code == 1000


async def test_connecting_twice_is_as_good_as_once(hub: Hub) -> None:
    async def eager(websocket: WebSocket) -> None:
        first = await hub.connect(websocket)
        second = await hub.connect(websocket)
        await first.send({"same": first is second, "count": hub.connection_count})
        await first.close()

    async with connect(route(eager)) as client:
        assert await client.receive_json() == {"same": True, "count": 1}


async def test_a_socket_that_connects_again_after_a_disconnect_is_a_new_connection(hub: Hub) -> None:
    async def returning(websocket: WebSocket) -> None:
        first = await hub.connect(websocket, user=User("ada", expires_at=time.time() + 0.2))
        await hub.join("r", websocket)
        hub.disconnect(websocket)
        assert (hub.connection_count, hub.rooms) == (0, [])
        second = await hub.connect(websocket, user=User("bob"))
        assert (hub.connections, second.rooms, second.id == first.id) == ([second], [], False)
        await hub.broadcast("to all")
        hub.disconnect(websocket)
        await hub.join("r", websocket)
        await hub.broadcast_to_room("r", "to the room")
        with pytest.raises(Disconnected):
            await first.join("r")
        await hub.send_personal(f"you said {await websocket.receive_text()}", websocket)
        with suppress(WebSocketDisconnect):
            await websocket.receive_text()

    async with connect(route(returning)) as client:
        assert [await client.receive(), await client.receive()] == ["to all", "to the room"]
        await asyncio.sleep(0.3)  # the credentials of who it was before have ended
        await client.send("x")
        assert await client.receive() == "you said x"
        assert [one.messages_in for one in hub.connections] == [1]
    await eventually(lambda: (hub.connection_count, hub.rooms) == (0, []))
    assert hub.stats.opened == 3


async def test_a_place_is_taken_anew_by_a_socket_that_connects_again() -> None:
    async with Hub(protection=Protection(connections_per_user=1)) as hub:

        async def returning(websocket: WebSocket) -> None:
            await hub.connect(websocket, user=User("ada"))
            hub.disconnect(websocket)
            await hub.connect(websocket, user=User(websocket.path_params["rest"]))
            with suppress(WebSocketDisconnect):
                await websocket.receive_text()

        async with connect(route(returning), "/bob") as bob:
            await eventually(lambda: [one.user for one in hub.connections] == [User("bob")])
            async with connect(route(returning), "/bob", raise_app_exceptions=False) as other:
                assert (await other.receive_json())["msg"] == "Too many connections of this user"
                assert (await other.wait_closed()).code == 1008
            assert bob.closed is None


# Life


async def test_a_hub_that_does_not_run_says_how_to_run_it() -> None:
    hub = Hub()
    assert not hub.running

    async def enter(websocket: WebSocket) -> None:
        async with hub.connection(websocket):
            pass

    for use in (lambda: hub.broadcast("x"), lambda: hub.broadcast_to_room("r", "x")):
        with pytest.raises(HubNotRunning, match="lifespan"):
            await use()
    with pytest.raises(HubNotRunning):
        async with connect(route(enter)):
            pass


async def test_who_comes_while_the_hub_ends_is_sent_away_and_leaves_nothing_behind() -> None:
    hub = Hub(anonymous=True)
    sdk_app = Starlette(routes=[*hub.routes])
    may_connect, sent = asyncio.Event(), list[Event]()

    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me, me.join("r"):
            await me.wait_closed()

    async def receive() -> Event:
        await may_connect.wait()
        may_connect.clear()
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        sent.append(event)

    async with AsyncExitStack() as stack:
        await hub.__aenter__()
        slow = await stack.enter_async_context(connect(route(handler)))
        silent = await stack.enter_async_context(connect(sdk_app, "/connection/websocket"))
        scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": [], "subprotocols": []}
        late = asyncio.create_task(route(handler)(scope, receive, send))
        await turns(10)
        slow.pause()  # its close frame keeps the hub waiting
        await hub.broadcast("x")
        ending = asyncio.create_task(hub.__aexit__(None, None, None))
        await eventually(lambda: hub.connection_count == 0)
        for app, path in ((route(handler), "/"), (sdk_app, "/connection/websocket")):
            with pytest.raises(HandshakeRejected, match="503"):
                async with connect(app, path, raise_app_exceptions=False):
                    pass
        may_connect.set()  # for one whose handshake was under way
        await eventually(lambda: hub.room_count("r") == 1)
        await ending
        assert (hub.connection_count, hub.rooms) == (0, [])
        assert (await silent.wait_closed()).code == 3001
        await late
        assert (sent[-1]["type"], sent[-1]["code"]) == ("websocket.close", 1001)


async def test_a_hub_cannot_run_twice_at_once_but_again() -> None:
    hub = Hub()
    for _ in range(2):
        async with hub:
            assert hub.running
            with pytest.raises(ConfigurationError, match="running already"):
                await hub.__aenter__()
            async with guest(hub, rooms=("r",)) as ada:
                await hub.broadcast_to_room("r", "x")
                assert await ada.client.receive() == "x"
        assert not hub.running


async def test_a_hub_whose_broker_does_not_start_can_be_started_later() -> None:
    class Moody(MemoryBroker):
        fails = True

        async def start(self, receiver: Receiver) -> None:
            if self.fails:
                raise BrokerError("not today")
            await super().start(receiver)

    hub = Hub(broker := Moody())
    with pytest.raises(BrokerError):
        await hub.__aenter__()
    assert not hub.running
    broker.fails = False
    async with hub:
        assert hub.running


async def test_a_hub_that_stops_sends_what_is_pending_and_says_1001() -> None:
    hub = Hub()
    async with hub:
        stack = guest(hub, rooms=("r",))
        ada = await stack.__aenter__()
        await hub.broadcast_to_room("r", "last words")
    assert await ada.client.receive() == "last words"
    end = await ada.client.wait_closed()
    assert (end.code, end.reason) == (1001, "server stopping")
    await stack.__aexit__(None, None, None)
    assert hub.connection_count == 0


async def test_a_client_that_reads_nothing_keeps_the_hub_from_stopping_only_so_long() -> None:
    async with asyncio.timeout(DEADLINE):
        async with Hub(limits=Limits(close_timeout=0.1)) as hub:
            stack = guest(hub, rooms=("r",))
            ada = await stack.__aenter__()
            ada.client.pause()
            await hub.broadcast_to_room("r", "unread")
            await turns()
        ada.client.drop()
        await stack.__aexit__(None, None, None)


async def test_the_lifespan_is_the_apps() -> None:
    from starlette.applications import Starlette

    hub = Hub()
    async with running(Starlette(lifespan=hub.lifespan)):
        assert hub.running
    assert not hub.running


async def test_counters_tell_what_happened(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)), guest(hub, rooms=("r",)):
        await hub.broadcast_to_room("r", "x")
        await hub.broadcast_to_room("nobody", "x")
        await turns()
    assert (hub.stats.opened, hub.stats.delivered) == (2, 2)


async def test_nothing_is_left_running_after_the_clients_have_gone(hub: Hub) -> None:
    before = len(asyncio.all_tasks())
    for _ in range(3):
        async with guest(hub, rooms=("r",)) as ada, guest(hub, rooms=("r",)) as bob:
            await ada.client.send("x")
            await hub.broadcast_to_room("r", "x")
            bob.client.drop()
    await eventually(lambda: len(asyncio.all_tasks()) == before)


async def test_who_swaps_a_room_and_its_member_is_told_what_is_wrong(hub: Hub) -> None:
    async with guest(hub) as ada:
        with pytest.raises(TypeError, match="'r' is neither a WebSocket of FastAPI or Starlette nor a"):
            await hub.join(ada.me, "r")  # type: ignore[arg-type]


async def test_who_awaits_what_is_to_be_entered_is_told_so(hub: Hub) -> None:
    with pytest.raises(TypeError, match=r"for `async with`; what is awaited is hub\.connect\(\)"):
        await hub.connection(WebSocket({"type": "websocket"}, asyncio.Queue().get, asyncio.Queue().put))


async def test_a_join_that_nobody_awaits_is_warned_of(hub: Hub) -> None:
    async with guest(hub) as ada:
        with pytest.warns(RuntimeWarning, match="join' was never awaited"):
            ada.me.join("r")
        membership = await ada.me.join("r")
        async with membership:  # once more is no error
            assert hub.room_count("r") == 1
        assert hub.room_count("r") == 0


async def test_a_publication_from_another_event_loop_is_refused_and_from_its_threads_taken(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada:
        with pytest.raises(HubNotRunning, match="another event loop"):
            await asyncio.to_thread(asyncio.run, hub.broadcast_to_room("r", "from elsewhere"))
        await anyio.to_thread.run_sync(anyio.from_thread.run, hub.broadcast_to_room, "r", "from a thread")
        assert await ada.received() == ["from a thread"]
