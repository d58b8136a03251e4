"""`index.json`: what an index is, and whose space it lives in."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from tfrec.config_answers import AnswerSettings
from tfrec.errors import DataError
from tfrec.frozen import Frozen
from tfrec.schema import IdType, Repeats

INFO_FILE = "index.json"
FORMAT_VERSION = 1

Precision = Literal["float32", "bfloat16", "int8"]


class ScannSettings(Frozen):
    """How ScaNN (Guo et al. 2020) searches."""

    leaves: int = Field(0, ge=0, description="partitions of the candidates; 0: none, all are looked at")
    leaves_to_search: int = Field(0, ge=0, description="of them, by a query")
    reorder: int = Field(1000, ge=1, description="candidates whose scores are worked out again")
    precision: Precision = Field("float32", description="of those scores, and the memory of a dimension")


class Recall(Frozen):
    """The share of the exact answers that a search gives, measured on queries of users."""

    queries: int
    at_10: float
    at_100: float


class IndexInfo(Frozen):
    """The metadata of an index version.

    `space` names the trained model whose query tower the embeddings answer; a server compares it with that
    of its encoder.
    """

    format_version: int = FORMAT_VERSION
    name: str
    version: int
    kind: Literal["exact", "scann"]
    space: int = Field(description="number of the trained model, as `encode` gives it")
    item_id_type: IdType
    dimensions: int = Field(description="D + 1, of embeddings and queries")
    items: int = Field(description="that can be answered")
    added: int = Field(0, description="of them, since the search structure was built")
    removed: int = Field(0, description="items since taken out")
    columns: tuple[str, ...] = Field((), description="features that requests may filter by")
    tasks: tuple[str, ...] = Field((), description="of ranking; none: answers are ordered by retrieval")
    has_formula: bool = Field(False, description="whether candidates are ranked by tasks")
    max_length: int = Field(1, description="of a sequence: the encoder looks at the newest events")
    session_from: Literal["gap", "id"] = "gap"
    session_gap_s: int = 1800
    repeats: Repeats = Field("anywhere", description="where the log shows a user an item again")
    leave_out: Literal["repeats", "session", "sequence"] = "repeats"
    answers: AnswerSettings = Field(default_factory=AnswerSettings)
    seed: int = Field(0, description="of what is drawn by lot")
    scann: ScannSettings | None = None
    recall: Recall | None = Field(None, description="None: exact, or there were no queries to measure with")
    written_by: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> "IndexInfo":
        """Reads the metadata of a version folder.

        Raises:
            DataError: it is missing, unreadable, or of another format version.
        """
        path = Path(folder) / INFO_FILE
        try:
            info = cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"{folder} is no index: it has no {INFO_FILE}. `tfrec index` writes one."
            ) from None
        except (ValidationError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from error
        if info.format_version != FORMAT_VERSION:
            raise DataError(
                f"{path} has format version {info.format_version}, this tfrec reads {FORMAT_VERSION}. "
                "Build the index again."
            )
        return info
