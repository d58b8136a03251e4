"""Small datasets in memory and on disk, built from a table of events as the judge writes it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from tfrec.dataset import Dataset
from tfrec.schema import (
    ROLES,
    SEQUENCES_FOLDER,
    ContextColumn,
    Counts,
    DatasetSchema,
    ItemFeature,
    Repeats,
)
from tfrec.sequences import Sequences
from tfrec.vocabulary import Vocabulary


def rich_dataset(
    seed: int = 0, users: int = 24, items: int = 30, repeats: Repeats = "anywhere", **facts: object
) -> Dataset:
    random = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        time = 1_500_000_000 + int(random.integers(0, 10**6))
        sessions = int(random.integers(3, 6))
        for session in range(sessions):
            role = {sessions - 1: "test", sessions - 2: "val"}.get(session, "train")
            for _ in range(int(random.integers(1, 6))):
                # Each user favours few items, and item i leads to i + 1: something to learn.
                item = int((user + random.integers(0, 4)) % items)
                rows.append((user, 100 + item, time, user * 10 + session, role))
                time += int(random.integers(10, 600))
            time += int(random.integers(4000, 10**6))
    columns = ["user_id", "item_id", "timestamp", "session_id", "role"]
    dataset = dataset_of(pd.DataFrame(rows, columns=columns), repeats=repeats)
    size, known = len(rows), len(dataset.catalogue)
    context = {
        "device": random.integers(1, 4, size).astype(np.int32),
        "dwell": np.where(random.random(size) < 0.2, np.nan, random.normal(30, 9, size)).astype(np.float32),
    }
    catalogue = dataset.catalogue.assign(
        colour=[["red", "blue", None][i % 3] for i in range(known)],
        tags=[[["a"], ["a", "b"], []][i % 3] for i in range(known)],
        price=[float(i) if i % 4 else np.nan for i in range(known)],
    )
    schema = dataset.schema.model_copy(
        update={
            "context": (
                ContextColumn(name="device", kind="categorical", size=4),
                ContextColumn(name="dwell", kind="numeric", mean=30.0, std=9.0),
            ),
            "item_features": (
                ItemFeature(name="colour", kind="categorical", size=4),
                ItemFeature(name="tags", kind="multi", size=4),
                ItemFeature(name="price", kind="numeric", mean=15.0, std=8.0),
            ),
            **facts,
        }
    )
    return replace(
        dataset,
        schema=schema,
        sequences=replace(dataset.sequences, context=context),
        catalogue=catalogue,
        context={"device": Vocabulary(["phone", "desk"])},
        features={"colour": Vocabulary(["red", "blue"]), "tags": Vocabulary(["a", "b"])},
    )


def dataset_of(events: pd.DataFrame, *, repeats: Repeats = "anywhere", has_clock: bool = True) -> Dataset:
    events = events.reset_index(drop=True)
    train = events[events["role"] == "train"]
    counts = train["item_id"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    items = Vocabulary(counts.index)
    new_user = (events["user_id"] != events["user_id"].shift()).to_numpy()
    new_session = new_user | (events["session_id"] != events["session_id"].shift()).to_numpy()
    number = pd.Series(np.cumsum(new_session))
    session = number - number.groupby(events["user_id"]).transform("first")
    size = len(events)
    sequences = Sequences(
        user_id=events["user_id"].to_numpy()[new_user],
        offsets=np.append(np.flatnonzero(new_user), size).astype(np.int64),
        event_id=np.arange(size, dtype=np.int64),
        item=items.rows(events["item_id"].to_numpy()),
        event_type=np.full(size, 2, np.int32),
        session=session.to_numpy(np.int32),
        time=events["timestamp"].to_numpy(np.int64),
        role=events["role"].map({role: place for place, role in enumerate(ROLES)}).to_numpy(np.int8),
    )
    roles = events["role"].value_counts()
    schema = DatasetSchema(
        written_by={},
        source="made for a test",
        split="last_session",
        user_id_type="int64",
        item_id_type="int64" if pd.api.types.is_integer_dtype(events["item_id"]) else "string",
        event_types=("event",),
        has_clock=has_clock,
        ordered_sessions=True,
        session_from="gap",
        repeats=repeats,
        first_time=int(events["timestamp"].min()),
        last_time=int(events["timestamp"].max()),
        counts=Counts(
            users=sequences.users,
            items=len(counts),
            events=size,
            sessions=int(new_session.sum()),
            train_events=int(roles.get("train", 0)),
            val_events=int(roles.get("val", 0)),
            test_events=int(roles.get("test", 0)),
            rejected_rows=0,
        ),
        shards=1,
    )
    catalogue = pd.DataFrame({"item_id": counts.index, "train_count": counts.to_numpy()})
    return Dataset(
        schema=schema,
        sequences=sequences,
        catalogue=catalogue,
        items=items,
        event_types=Vocabulary(["event"]),
        context={},
        features={},
    )


def write_dataset(dataset: Dataset, folder: Path) -> None:
    schema, sequences = dataset.schema, dataset.sequences
    (folder / SEQUENCES_FOLDER).mkdir(parents=True)
    dataset.save(folder)
    arrays = {
        name: getattr(sequences, name)
        for name in ("event_id", "item", "event_type", "session", "time", "role")
    }
    arrays |= {f"context.{name}": values for name, values in sequences.context.items()}
    lists = {name: np.split(values, sequences.offsets[1:-1]) for name, values in arrays.items()}
    table = pd.DataFrame({"user_id": sequences.user_id, **lists})
    for shard, users in enumerate(np.array_split(np.arange(sequences.users), schema.shards)):
        table.iloc[users].to_parquet(folder / SEQUENCES_FOLDER / f"part-{shard:05d}.parquet", index=False)
