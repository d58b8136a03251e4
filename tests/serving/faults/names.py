"""A name server on loopback, whose answers the test changes."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

A, IN = 1, 1
QUESTION = 12  # bytes before the question


class Names:
    """Answers every question for an IPv4 address with `addresses`.

    Attributes:
        addresses: of the one name that there is.
        target: how gRPC is told to ask here.
    """

    def __init__(self, addresses: list[str]) -> None:
        self.addresses = addresses
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))

    def target(self, port: int) -> str:
        """The name with a port, for a channel."""
        return f"dns://127.0.0.1:{self.socket.getsockname()[1]}/replicas.example:{port}"

    def answer(self, question: bytes) -> bytes:
        """The reply to a message of one question (RFC 1035)."""
        end = question.index(b"\0", QUESTION) + 1
        kind = struct.unpack(">H", question[end : end + 2])[0]
        found = self.addresses if kind == A else []
        head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, len(found), 0, 0)
        records = b"".join(
            struct.pack(">HHHIH", 0xC000 | QUESTION, A, IN, 0, 4) + socket.inet_aton(address)
            for address in found
        )
        return head + question[QUESTION : end + 4] + records

    def serve(self) -> None:
        """Answers until an empty message comes."""
        while True:
            content, asker = self.socket.recvfrom(1 << 12)
            if not content:
                return
            self.socket.sendto(self.answer(content), asker)


@contextlib.contextmanager
def naming(*addresses: str) -> Iterator[Names]:
    """A name server while the block runs."""
    names = Names([*addresses])
    thread = threading.Thread(target=names.serve)
    thread.start()
    try:
        yield names
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", names.socket.getsockname())
        thread.join()
        names.socket.close()
