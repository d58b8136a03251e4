"""Names, types and lengths of all that crosses a boundary: dataset/, servable, gRPC.

Nothing here knows TensorFlow or pandas, so that data preparation and the client can import it.

A dataset folder::

    schema.json                     `DatasetSchema`
    sequences/part-00000.parquet    `SEQUENCE_COLUMNS`: one row a user, events oldest first
    catalogue.parquet               one row an item of the vocabulary, in row order: `item_id` (raw),
                                    `train_count` (int64), and the item features, raw, as the source has them
    vocabulary/item.parquet         column `value`, raw item ids; line i is row i + FIRST_ROW
    vocabulary/event_type.parquet   likewise, for event types
    vocabulary/context.NAME.parquet likewise, for each categorical context column
    vocabulary/feature.NAME.parquet likewise, for each categorical or multi-valued item feature
    impressions.parquet             where the log has impressions: `IMPRESSION_COLUMNS`, by time
    vocabulary/impression.NAME.parquet   values of each categorical context column of impressions
    rejected.parquet                `file`, `row_number`, `reason`, and the raw fields as strings
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from tfrec.errors import DataError
from tfrec.frozen import Frozen

FORMAT_VERSION = 1

# Rows of every embedding table: 0 pads, 1 stands for whatever the vocabulary does not know.
PADDING_ROW = 0
UNKNOWN_ROW = 1
FIRST_ROW = 2

ROLES = ("train", "val", "test")
"""Roles of events; their codes in the column `role` are the places in this tuple."""

SCHEMA_FILE = "schema.json"
CATALOGUE_FILE = "catalogue.parquet"
REJECTED_FILE = "rejected.parquet"
IMPRESSIONS_FILE = "impressions.parquet"
SEQUENCES_FOLDER = "sequences"
VOCABULARY_FOLDER = "vocabulary"

SEQUENCE_COLUMNS: Mapping[str, str] = {
    "user_id": "raw id: int64 or string",
    "event_id": "list<int64>: number of the event in the cleaned log, sorted by user and time",
    "item": "list<int32>: row of the item vocabulary (UNKNOWN_ROW: in no train event)",
    "event_type": "list<int32>: row of the event type vocabulary",
    "session": "list<int32>: number of the session within the user, from 0, never falling",
    "time": "list<int64>: unix seconds; without clock times the position in the user's history",
    "role": "list<int8>: place in ROLES",
    # and `context.NAME` for each context column: list<int32> rows, or list<float32> raw numbers
}

IMPRESSION_COLUMNS: Mapping[str, str] = {
    "impression_id": "raw id: int64 or string",
    "user_id": "raw id; it need not be that of a sequence",
    "time": "int64: unix seconds",
    "role": "int8: place in ROLES",
    "item": "list<int32>: rows of the items shown (UNKNOWN_ROW: in no train event)",
    # `label.NAME` for each label: list<int8>, 0 or 1; `statistic.NAME` for each statistic: list<float32>, as
    # of the moment, from what came strictly before it, NaN where nothing did;
    # and `context.NAME` for each context column: int32 rows, or float32 raw numbers
}

IdType = Literal["int64", "string"]
SplitName = Literal["last_session", "leave_one_out", "global_time", "none", "judge"]
Repeats = Literal["anywhere", "across_sessions", "never"]


class ContextColumn(Frozen):
    """A column of the events beside user, item, time, event type and session."""

    name: str
    kind: Literal["categorical", "numeric"]
    size: int = Field(0, description="categorical: rows of the table, padding and unknown included")
    mean: float = Field(0.0, description="numeric: over train events")
    std: float = Field(1.0, description="numeric: over train events, 1 where constant")


class ItemFeature(Frozen):
    """A column of the catalogue that both towers embed."""

    name: str
    kind: Literal["categorical", "multi", "numeric"]
    size: int = Field(0, description="categorical and multi: rows, padding and unknown included")
    mean: float = 0.0
    std: float = 1.0
    words_of: str | None = Field(None, description="multi: a column of text, whose hashed words these are")


class Statistic(Frozen):
    """What was known of a candidate at its moment; mean and deviation of log(1 + x) over train candidates."""

    name: str
    mean: float = 0.0
    std: float = 1.0
    lacks: bool = Field(
        True, description="whether some train candidate has none, as of hours since a first event"
    )


class Value(Frozen):
    """A number that came of a candidate; mean and deviation over train candidates that have one."""

    name: str
    mean: float = 0.0
    std: float = 1.0


class ImpressionFacts(Frozen):
    """What the impressions of a dataset are."""

    labels: tuple[str, ...]
    values: tuple[Value, ...] = ()
    context: tuple[ContextColumn, ...] = ()
    statistics: tuple[Statistic, ...]
    train: int
    val: int
    test: int
    candidates: int = Field(description="of all impressions")
    sampled: bool = Field(False, description="made of the log itself: candidates stand for others, not drawn")


class Counts(Frozen):
    """How much a dataset holds."""

    users: int
    items: int
    events: int
    sessions: int
    train_events: int
    val_events: int
    test_events: int
    rejected_rows: int


class DatasetSchema(Frozen):
    """`schema.json`: what a dataset is, and what wrote it."""

    format_version: int = FORMAT_VERSION
    written_by: dict[str, str] = Field(description="versions: tfrec, python, pandas, pyarrow")
    source: str
    split: SplitName
    user_id_type: IdType
    item_id_type: IdType
    event_types: tuple[str, ...]
    has_clock: bool = Field(description="times are unix seconds; else only an order")
    ordered_sessions: bool = Field(description="False: the order inside a session means nothing")
    session_from: Literal["gap", "id"]
    session_gap_s: int = Field(1800, description="with session_from='gap'")
    session_id_type: IdType = Field("int64", description="with session_from='id': type in requests")
    repeats: Repeats = Field(description="where the log shows a user an item again")
    context: tuple[ContextColumn, ...] = ()
    item_features: tuple[ItemFeature, ...] = ()
    impressions: ImpressionFacts | None = Field(None, description="None: the log has none")
    item_name_columns: tuple[str, ...] = Field(
        (), description="catalogue columns that name an item to people"
    )
    first_time: int
    last_time: int
    counts: Counts
    shards: int

    def save(self, folder: Path) -> None:
        """Writes `schema.json` into the folder."""
        (Path(folder) / SCHEMA_FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "DatasetSchema":
        """Reads `schema.json` of a dataset or model folder.

        Raises:
            DataError: the folder or file is missing, unreadable, or of another format version.
        """
        path = Path(folder) / SCHEMA_FILE
        if not path.is_file():
            raise DataError(f"{folder} is no dataset: it has no {SCHEMA_FILE}. `tfrec prepare` writes one.")
        try:
            schema = cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error
        if schema.format_version != FORMAT_VERSION:
            raise DataError(
                f"{path} has format version {schema.format_version}, this tfrec reads {FORMAT_VERSION}. "
                "Prepare the log again."
            )
        return schema
