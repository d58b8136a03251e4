"""Searches on a few threads: requests that wait for a thread together are searched together.

A search of many queries reads the catalogue once for all of them, and keeps the processor busy where one
query alone would wait for memory. One event loop owns all state here, so nothing is locked.
"""

import asyncio
import functools
from collections import deque
from concurrent.futures import Executor
from dataclasses import dataclass

from serving.handing_out import hand_out
from serving.retrieval.candidates import Asked, find
from serving.status import Code, ServingError
from tfrec.index.exact import Found
from tfrec.index.index import Index

MOST_USERS = 64
"""of one search, unless a request alone asks for more"""


@dataclass(eq=False)
class _Waiting:
    """A request that waits for its search."""

    index: Index
    asked: Asked
    count: int
    deadline: float
    found: "asyncio.Future[Found]"

    def goes_with(self, other: "_Waiting") -> bool:
        """Whether one search can answer both."""
        return self.index is other.index and self.count == other.count


class Searches:
    """Finds candidates. All methods belong to one event loop.

    Args:
        pool: of the threads.
        threads: how many searches run at the same time.
    """

    def __init__(self, pool: Executor, threads: int) -> None:
        self._pool = pool
        self._idle = threads
        self._waiting: deque[_Waiting] = deque()

    async def find(self, index: Index, asked: Asked, count: int, deadline: float) -> Found:
        """Returns candidates, as `serving.retrieval.candidates.find`.

        Args:
            index: of the encoder's model.
            asked: of one request.
            count: how many for each user.
            deadline: time of the event loop after which nobody waits.

        Raises:
            ServingError: with the code of what went wrong; of other requests' searches nothing is seen.
        """
        loop = asyncio.get_running_loop()
        one = _Waiting(index, asked, count, deadline, loop.create_future())
        self._waiting.append(one)
        # After the requests that came in with this one, so that they can share its search.
        loop.call_soon(self._look)
        return await one.found

    def _look(self) -> None:
        """Hands what waits to idle threads."""
        while self._idle and (together := self._take()):
            self._idle -= 1
            first, asked = together[0], [one.asked for one in together]
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self._pool, find, first.index, asked, first.count)
            work.add_done_callback(functools.partial(self._finish, together))

    def _take(self) -> list[_Waiting]:
        """The oldest request that somebody still waits for, and others that go with it."""
        now = asyncio.get_running_loop().time()
        taken: list[_Waiting] = []
        left: deque[_Waiting] = deque()
        users = 0
        for one in self._waiting:
            if one.found.done():
                continue
            if one.deadline < now:
                text = "the deadline passed; the search was not begun"
                one.found.set_exception(ServingError(Code.DEADLINE_EXCEEDED, text))
            elif not taken or (one.goes_with(taken[0]) and users + one.asked.users <= MOST_USERS):
                taken.append(one)
                users += one.asked.users
            else:
                left.append(one)
        self._waiting = left
        return taken

    def _finish(self, together: list[_Waiting], done: "asyncio.Future[list[Found | Exception]]") -> None:
        self._idle += 1
        hand_out(done, [one.found for one in together])
        self._look()
