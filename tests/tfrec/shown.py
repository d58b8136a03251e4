"""Impressions made up for a small dataset."""

from dataclasses import replace

import numpy as np

from tfrec.dataset import Dataset
from tfrec.impressions import Impressions
from tfrec.schema import ContextColumn, ImpressionFacts, Statistic, Value

PER_USER, CANDIDATES = 6, 5


def shown_to(dataset: Dataset, seed: int = 0) -> tuple[Dataset, Impressions]:
    """A dataset with impressions: of five items the one with the highest statistic is clicked.

    How long each is looked at, where that is known, follows its statistic too.
    """
    random = np.random.default_rng(seed)
    s = dataset.sequences
    user = np.repeat(np.arange(-1, s.users), PER_USER)
    count = len(user) * CANDIDATES
    known = np.append(s.time[s.offsets[:-1]], s.time.max())[user]
    time = np.sort(known + random.integers(0, 10**6, len(user)))
    size = np.arange(0, count + 1, CANDIDATES)
    item = np.concatenate([random.permutation(dataset.items.size - 2)[:CANDIDATES] + 2 for _ in user])
    statistic = np.concatenate([random.permutation(100)[:CANDIDATES] for _ in user]).astype(np.float32)
    best = np.maximum.reduceat(statistic, size[:-1])
    click = (statistic == np.repeat(best, CANDIDATES)).astype(np.int8)
    dwell = np.where(random.random(count) < 0.3, np.nan, 20 + 5 * np.log1p(statistic)).astype(np.float32)
    statistic[random.random(count) < 0.1] = np.nan
    facts = ImpressionFacts(
        labels=("click", "buy"),
        values=(Value(name="dwell", mean=float(np.nanmean(dwell)), std=float(np.nanstd(dwell))),),
        context=(ContextColumn(name="device", kind="categorical", size=4),),
        statistics=(Statistic(name="click_6h", mean=3.5, std=1.0),),
        train=len(user) // 2,
        val=len(user) - len(user) // 2,
        test=0,
        candidates=count,
    )
    impressions = Impressions(
        facts=facts,
        id=np.arange(len(user)),
        user_id=np.append(s.user_id, "nobody")[user],
        user=user.astype(np.int64),
        time=time.astype(np.int64),
        role=(np.arange(len(user)) >= len(user) // 2).astype(np.int8),
        offsets=size.astype(np.int64),
        item=item.astype(np.int32),
        labels={"click": click, "buy": click * (random.random(count) < 0.5)},
        statistics={"click_6h": statistic},
        values={"dwell": dwell},
        context={"device": random.integers(0, 4, len(user)).astype(np.int32)},
    )
    return replace(dataset, schema=dataset.schema.model_copy(update={"impressions": facts})), impressions
