"""When the steps of a training end."""

import time

import keras


class StepClock(keras.callbacks.Callback):
    """Reads the clock at the end of each step.

    Attributes:
        ends: seconds of `time.perf_counter`, a step each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.ends.append(time.perf_counter())
