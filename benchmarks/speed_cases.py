"""What `training_speed` trains: RecTools' SASRec settings, and ours that do the same work."""

from dataclasses import dataclass

BATCH = 128
WIDTH = 64
BLOCKS = 2
HEADS = 2
DROPOUT = 0.2
# RecTools' feed-forward is two products of D x D, ours (SwiGLU) three of D x F: F = 2 D / 3, rounded up.
FEED_FORWARD = -(-2 * WIDTH // 3)


@dataclass(frozen=True)
class Case:
    """A dataset with the settings that both train.

    Attributes:
        length: events that go in, at most; a further one is the last target.
        negatives: a request; None: full softmax.
        row_length: places of our packed rows.
    """

    dataset: str
    length: int
    negatives: int | None
    row_length: int

    def rectools(self) -> list[str]:
        """Returns the options of `benchmarks.rectools_speed`."""
        loss = ["--loss", "softmax"]
        if self.negatives is not None:
            loss = ["--loss", "sampled_softmax", "--negatives", str(self.negatives)]
        sizes = {"dim": WIDTH, "blocks": BLOCKS, "heads": HEADS, "length": self.length, "batch": BATCH}
        words = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
        return [self.dataset, *words, "--dropout", str(DROPOUT), *loss]

    def ours(self) -> list[str]:
        """Returns the settings of a plain model of ours; rows a step are chosen where the data is known.

        Places in the session are the one encoding, as positions are RecTools'; no pairwise terms, copy
        or rule scores, no features. Sampled negatives are shared by the requests of a block, whose
        other targets are negatives too: a request has more of them than RecTools' has.
        """
        loss = ["loss.negatives=full", "loss.in_batch=256"]
        if self.negatives is not None:
            loss = ["loss.negatives=sampled", f"loss.uniform={self.negatives}", f"loss.in_batch={BATCH}"]
        return [
            f"model.dimensions={WIDTH}",
            f"model.blocks={BLOCKS}",
            f"model.heads={HEADS}",
            f"model.feed_forward={FEED_FORWARD}",
            f"model.dropout={DROPOUT}",
            f"model.max_length={self.length}",
            "model.block=transformer",
            "model.pairwise=[]",
            "model.encodings=[place]",
            "model.copy_scores=false",
            "model.rules=0",
            "loss.bar_repeats=false",
            "training.average=0",
            "model.item_features=false",
            "model.context=false",
            f"training.row_length={self.row_length}",
            *loss,
        ]


CASES = {
    "ml-1m": Case("ml-1m", length=200, negatives=None, row_length=201),
    "beauty": Case("beauty", length=50, negatives=256, row_length=128),
}
