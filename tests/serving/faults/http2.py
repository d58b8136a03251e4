"""A client of HTTP/2 by hand, which can stall wherever a gRPC client never would."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings

from serving import wire

PATIENCE_S = 60.0
HEAD = 9  # bytes before the content of a frame, whose length is in the first three


class RawClient:
    """One connection of plain text.

    Args:
        port: of a server on loopback.
        window: bytes of an answer that the server may send before it is told to go on.
    """

    def __init__(self, port: int, window: int = 65_535) -> None:
        self._socket = socket.create_connection(("localhost", port), timeout=PATIENCE_S)
        self._port = port
        self._unread = b""
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        first = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
        self.state.local_settings = h2.settings.Settings(client=True, initial_values=first)
        self.state.initiate_connection()
        self.flush()

    def flush(self) -> None:
        """Sends what is due."""
        self._socket.sendall(self.state.data_to_send())

    def begin(self) -> int:
        """Sends the headers of a Predict without a deadline, and returns the stream's number."""
        stream = self.state.get_next_available_stream_id()
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": f"/{wire.SERVICE}/Predict",
            ":authority": f"localhost:{self._port}",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        self.state.send_headers(stream, list(headers.items()))
        self.flush()
        return int(stream)

    def send(self, stream: int, content: bytes, *, last: bool = False) -> None:
        """Sends a part of the request."""
        self.state.send_data(stream, content, end_stream=last)
        self.flush()

    def events(self) -> Iterator[Any]:
        """What the server sends, until it hangs up; called again, it goes on where it was left."""
        yield from self._unread_events()
        while part := self._socket.recv(1 << 16):
            self._unread += part
            yield from self._unread_events()

    def _unread_events(self) -> Iterator[Any]:
        while len(self._unread) >= HEAD and len(self._unread) >= (size := HEAD + self._length()):
            frame, self._unread = self._unread[:size], self._unread[size:]
            yield from self._frame(frame)

    def _length(self) -> int:
        return int.from_bytes(self._unread[:3])

    def _frame(self, frame: bytes) -> list[Any]:
        events = self.state.receive_data(frame)
        if any(isinstance(event, h2.events.ConnectionTerminated) for event in events):
            # gRPC announces the end of a connection and then answers what has been asked; h2 takes that for
            # the end itself.
            self.state.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        with contextlib.suppress(OSError):  # the server may have hung up behind its last word
            self.flush()
        return events

    def answer(self, stream: int) -> str:
        """Reads until a request has its answer, and returns its status in gRPC's numbers."""
        for event in self.events():
            if isinstance(event, h2.events.DataReceived):
                self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.flush()
            elif isinstance(event, h2.events.TrailersReceived) and event.stream_id == stream:
                return str(dict(event.headers)["grpc-status"])
        raise ConnectionError("the server hung up before it answered")

    def close(self) -> None:
        """Hangs up without a word."""
        self._socket.close()


def framed(message: bytes) -> bytes:
    """A message as gRPC frames it: not compressed, its length, itself."""
    return struct.pack(">BI", 0, len(message)) + message
