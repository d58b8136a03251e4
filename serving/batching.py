"""Dynamic batching: requests that arrive together are computed together.

One event loop owns all state here, so nothing is locked; the graph runs on a few worker threads, and
TensorFlow lets the loop go on meanwhile. While every worker is busy, requests gather and leave as one
batch, so batches grow with the load by themselves.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving import padding
from serving.computing import Answer, compute
from serving.computing_threads import computing_threads
from serving.handing_out import hand_out
from serving.loading import Servable
from serving.metrics import Metrics
from serving.settings import BatchSettings
from serving.signatures import Signature
from serving.status import Code, ServingError
from serving.tensors import Array
from serving.waiting import Queue, Task


@dataclass
class BatchStats:
    """What has been computed so far."""

    batches: int = 0
    users: int = 0
    padded_users: int = 0


class Batcher:
    """Computes requests in batches, for every version and signature of a server.

    All methods belong to one event loop.
    """

    def __init__(self, settings: BatchSettings, metrics: Metrics | None = None) -> None:
        self.settings = settings
        self._metrics = metrics or Metrics()
        self._metrics.watch_queue(lambda: self._waiting)
        self.stats = BatchStats()
        self._queues: dict[tuple[Any, ...], Queue] = {}
        self._waiting = 0
        self._idle = settings.workers
        self._pool = computing_threads(settings.workers, "batch")
        self._alarm: asyncio.Handle | None = None

    async def submit(
        self,
        servable: Servable,
        signature: Signature,
        inputs: Mapping[str, Array],
        rows: int,
        deadline: float,
    ) -> Answer:
        """The answer to a request of `rows` users, by this version alone.

        Args:
            deadline: time of the event loop after which nobody waits for the answer.

        Raises:
            ServingError: RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED; INVALID_ARGUMENT where the graph refuses
                the request.
        """
        # Where nobody waits, a request of any size may come in: it would never find more room.
        if self._waiting and self._waiting + rows > self.settings.max_enqueued:
            raise ServingError(
                Code.RESOURCE_EXHAUSTED,
                f"overloaded: {self._waiting} users wait, of at most {self.settings.max_enqueued}, and the "
                f"request holds {rows}. Try again later, or on another replica.",
            )
        inputs = padding.clip_sequences(inputs, signature, servable.info.max_length)
        shapes = padding.batch_key(inputs, signature, servable.info.max_length)
        batching = self.settings.for_events(padding.events_of(shapes))
        size = batching.max_batch_size
        pieces = [inputs] if rows <= size else padding.cut(inputs, size)
        key = (id(servable), signature.name, shapes)
        queue = self._queues.setdefault(key, Queue(servable, signature, batching))
        tasks = [self._enqueue(queue, piece, deadline) for piece in pieces]
        try:
            return await tasks[0] if len(tasks) == 1 else padding.join(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    @property
    def waiting(self) -> int:
        """Users whose requests have come in, are still wanted, and are not being computed yet."""
        return self._waiting

    def close(self) -> None:
        """Ends the workers, once what they compute is done."""
        self._pool.shutdown(wait=True)

    def _enqueue(
        self, queue: Queue, inputs: Mapping[str, Array], deadline: float
    ) -> "asyncio.Future[Answer]":
        loop = asyncio.get_running_loop()
        task = Task(inputs, len(next(iter(inputs.values()))), loop.time(), deadline, loop.create_future())
        queue.tasks.append(task)
        queue.rows += task.rows
        self._waiting += task.rows
        # A caller that gives up makes room for another at once.
        task.answer.add_done_callback(lambda _: self._leave(queue, task))
        # After the requests that came in with this one, so that they can share its batch.
        self._wake(0)
        return task.answer

    def _wake(self, delay: float) -> None:
        """Looks for work after `delay` seconds; an earlier look that is planned already stands."""
        loop = asyncio.get_running_loop()
        if isinstance(self._alarm, asyncio.TimerHandle) and self._alarm.when() > loop.time() + delay:
            self._alarm.cancel()
            self._alarm = None
        if self._alarm is None:
            self._alarm = loop.call_later(delay, self._look) if delay else loop.call_soon(self._look)

    def _look(self) -> None:
        """Hands batches that are due to idle workers."""
        self._alarm = None
        now = asyncio.get_running_loop().time()
        soonest: float | None = None
        # The queue whose first task waits longest goes first, so that none starves.
        for key, queue in sorted(self._queues.items(), key=lambda item: item[1].tasks[0].since):
            while self._idle and queue.tasks:
                due = queue.tasks[0].since + self._patience()
                if queue.rows < queue.batching.max_batch_size and now < due:
                    soonest = min(due, soonest or due)
                    break
                self._start(queue, self._take(queue, now))
            if not queue.tasks:
                del self._queues[key]
        if soonest is not None:
            self._wake(soonest - now)

    def _patience(self) -> float:
        """Seconds that a request waits for company: none where no other is being computed, for then the
        next may be far."""
        alone = self._idle == self.settings.workers
        return 0.0 if alone else self.settings.batch_timeout_us / 1e6

    def _take(self, queue: Queue, now: float) -> list[Task]:
        """The oldest tasks of a queue that fit into a batch and that somebody still waits for."""
        batch: list[Task] = []
        rows = 0
        size = queue.batching.batch_size(queue.rows)
        while queue.tasks and (not batch or rows + queue.tasks[0].rows <= size):
            task = queue.tasks.popleft()
            self._leave(queue, task)
            if task.answer.done():
                continue
            if task.deadline <= now:
                text = "the deadline passed while the request waited for its turn; it was not computed"
                task.answer.set_exception(ServingError(Code.DEADLINE_EXCEEDED, text))
                continue
            batch.append(task)
            rows += task.rows
        return batch

    def _leave(self, queue: Queue, task: Task) -> None:
        """The task waits no longer: it is computed, or given up."""
        if task.waits:
            task.waits = False
            queue.rows -= task.rows
            self._waiting -= task.rows

    def _start(self, queue: Queue, batch: list[Task]) -> None:
        if not batch:
            return
        loop = asyncio.get_running_loop()
        rows = sum(task.rows for task in batch)
        size = queue.batching.allowed_size(rows)
        self.stats.batches += 1
        self.stats.users += rows
        self.stats.padded_users += size - rows
        self._idle -= 1
        began = loop.time()
        self._metrics.batch(rows)
        for task in batch:
            self._metrics.stage("queue", began - task.since)
        requests = [task.inputs for task in batch]
        work = loop.run_in_executor(self._pool, compute, queue.servable, queue.signature, requests, size)
        work.add_done_callback(lambda done: self._finish(batch, done, loop.time() - began))

    def _finish(
        self, batch: list[Task], done: "asyncio.Future[list[Answer | Exception]]", seconds: float
    ) -> None:
        self._idle += 1
        self._metrics.stage("compute", seconds)
        hand_out(done, [task.answer for task in batch])
        self._wake(0)
