"""Steps of a RecTools training, for `benchmarks.training_speed`, which calls it in `.venv-peers`.

The last line is one JSON object: real events and seconds of the measured steps, steps an epoch, events of an
epoch, and peak memory.
"""

import argparse
import json
import logging
import warnings

from benchmarks.memory import peak_mb
from benchmarks.rectools_model import add_options, build, clock_of, events_frame, train_rows


def main() -> None:
    """Trains the steps, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=5, help="steps before, which are not measured")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    frame, _ = events_frame(options.dataset)
    model = build(options, max_steps=options.warm_up + options.steps)
    model.fit_partial(train_rows(frame), min_epochs=1, max_epochs=1)
    ends = clock_of(model).ends
    sequences = model.data_preparator.get_dataloader_train().dataset.sessions
    measured = ends[options.warm_up :]
    figures = {
        "events": sum(events for _, events in measured),
        "seconds": ends[-1][0] - ends[options.warm_up - 1][0],
        "steps": len(measured),
        "steps_an_epoch": -(-len(sequences) // options.batch),
        "events_an_epoch": sum(len(sequence) for sequence in sequences),
        "peak_mb": peak_mb(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
