"""A trained model exported, indexed, served by `tfrec retrieval` in this process, and asked over gRPC."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from serving.client import Query, Recommender
from serving.retrieval.server import running
from serving.retrieval.settings import RetrievalSettings
from tfrec.export import export
from tfrec.indexing import index_model
from tfrec.progress import track
from tfrec.trained import TrainedModel

AT_ONCE = 32
Answers = list[list[int]]
"""Raw ids of each query, best first."""
Ask = Callable[[np.ndarray, np.ndarray | None], Answers]
"""`(places of the events asked for, the only ids allowed or None) -> answers`."""


def serve(folder: Path) -> Path:
    """Exports `folder/model` to `servables/shop` beside it, and returns its exact index, `indexes/shop`."""
    export(folder / "model", folder / "servables" / "shop")
    index_model(folder / "model", folder / "indexes" / "shop", kind="exact", quiet=True)
    return folder / "indexes" / "shop"


@contextlib.contextmanager
def asking(folder: Path, events: pd.DataFrame, k: int) -> Iterator[Ask]:
    """What asks a retrieval server of `folder`, while the block runs.

    Args:
        folder: what `serve` has filled.
        events: the judge's, in order; a query is every event of the same user before the one asked for.
        k: answers a query.
    """
    trained = TrainedModel.load(folder / "model")
    length, clock = trained.model.spec.settings.max_length, trained.facts.schema.has_clock
    has_sessions = trained.facts.schema.session_from == "id"
    settings = RetrievalSettings(
        index=folder / "indexes" / "shop", servable=folder / "servables" / "shop", port=0, max_message_mb=256
    )
    with (
        running(settings) as server,
        Recommender(
            f"localhost:{server.port}", timeout_s=120, clock=clock, max_message_mb=256
        ) as recommender,
    ):

        def ask(at: np.ndarray, allow: np.ndarray | None) -> Answers:
            queries = [query_of(events, place, length, allow, has_sessions) for place in at]
            begins = range(0, len(queries), AT_ONCE)
            found: Answers = []
            for begin in track(begins, "asking", len(begins), quiet=False):
                answers = recommender.recommend_many(queries[begin : begin + AT_ONCE], k)
                found += [[int(one.item) for one in answer] for answer in answers]
            return found

        yield ask


def query_of(
    events: pd.DataFrame, place: int, length: int, allow: np.ndarray | None, has_sessions: bool
) -> Query:
    """The question that an event is the answer to.

    Args:
        events: see `asking`.
        place: of the event.
        length: events at most, the newest.
        allow: the only ids that may be answered; None: all.
        has_sessions: whether the model takes ids of sessions.
    """
    user = events.user_id.to_numpy()
    first = max(int(np.searchsorted(user, user[place], side="left")), place - length)
    before = events.iloc[first:place]
    session = events.session_id.iloc[place]
    return Query(
        events=[
            {"item": item, "time": time} | ({"session": of} if has_sessions else {})
            for item, time, of in zip(
                before.item_id.tolist(), before.timestamp.tolist(), before.session_id.tolist(), strict=True
            )
        ],
        request_time=int(events.timestamp.iloc[place]),
        session=int(session) if has_sessions else None,
        allow=() if allow is None else allow.tolist(),
    )
