"""What a client has to say to the application: calls of methods, and messages without a reply."""

from typing import Final

from hubbub.centrifuge import actions
from hubbub.centrifuge.actions import Answer, Done, Failed, Returned
from hubbub.centrifuge.codec import Codec, optional
from hubbub.centrifuge.dialogue import Dialogue
from hubbub.centrifuge.errors import ClientError, DisconnectCode, ErrorCode, disconnect_for
from hubbub.centrifuge.requests import RpcRequest, SendRequest
from hubbub.centrifuge.results import Reply, RpcResult
from hubbub.core.errors import InvalidMessage

METHODS: Final = ""
"""The lane of both; no channel has that name."""


class Methods:
    """Carries them out when it is their turn in their lane.

    Args:
        dialogue: takes what is said and asked.
        codec: the client's.
    """

    __slots__ = ("_codec", "_dialogue")

    def __init__(self, dialogue: Dialogue, codec: Codec) -> None:
        self._dialogue = dialogue
        self._codec = codec

    def rpc(self, number: int, request: RpcRequest) -> None:
        """Call a method; data may be missing."""
        data = self._codec.extract_optional(request.data)

        def answered(answer: Answer, now: float) -> None:
            if isinstance(answer, Returned):
                self._dialogue.reply(Reply(number, rpc=RpcResult(optional(self._codec, answer.data))))
            else:
                self._dialogue.fail(number, answer)

        self._dialogue.ask(METHODS, lambda call: actions.Rpc(call, request.method, data), answered)

    def message(self, request: SendRequest) -> None:
        """Hand a message over. There is no reply that could say that it was refused: the connection ends."""
        try:
            data = self._codec.extract(request.data)
        except InvalidMessage:
            self._dialogue.close(DisconnectCode.BAD_REQUEST.disconnect)
            return
        self._dialogue.ask(METHODS, lambda call: actions.Message(call, data), self._taken)

    def _taken(self, answer: Answer, now: float) -> None:
        if isinstance(answer, Done):
            return
        reason = answer.reason if isinstance(answer, Failed) else ErrorCode.INTERNAL.error
        self._dialogue.close(disconnect_for(reason) if isinstance(reason, ClientError) else reason)
