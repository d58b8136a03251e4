"""What one piece of work has found for several who wait, handed to each."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def hand_out(done: "asyncio.Future[list[T | Exception]]", waiting: "Sequence[asyncio.Future[T]]") -> None:
    """Gives each its own answer or error; where the work itself has failed, its error to all.

    Args:
        done: the work's, with an answer for each, in their order.
        waiting: of those who wait; who has given up gets nothing.
    """
    failure = done.exception()
    answers: Sequence[T | BaseException] = [failure] * len(waiting) if failure else done.result()
    for one, answer in zip(waiting, answers, strict=True):
        if one.done():
            continue
        if isinstance(answer, BaseException):
            one.set_exception(answer)
        else:
            one.set_result(answer)
