"""What an evaluation has found, as it stands in `metrics.json`."""

from pathlib import Path

from pydantic import Field, ValidationError

from tfrec.errors import DataError
from tfrec.frozen import Frozen

METRICS_FILE = "metrics.json"

Metrics = dict[str, float]
"""Values by names like `ndcg@10`; means over queries."""


class MethodResult(Frozen):
    """One method's figures."""

    seconds: float = Field(description="what answering all queries took, fitting included for a baseline")
    metrics: Metrics = Field(description="recall, ndcg, mrr at 5, 10, 20; coverage@10; novelty@10 in bits")
    slices: dict[str, dict[str, Metrics]] = Field(description="accuracy by slice and bucket")


class Evaluation(Frozen):
    """The figures of all methods on the same queries."""

    written_by: dict[str, str] = Field(description="versions: tfrec, python, numpy")
    source: str
    split: str
    role: str
    queries: int
    unknown_targets: float = Field(
        description="share of queries whose target is in no train event; they score 0"
    )
    items: int = Field(description="N: the catalogue that every answer is chosen from")
    slice_queries: dict[str, dict[str, int]] = Field(description="queries by slice and bucket")
    methods: dict[str, MethodResult]

    def save(self, folder: Path) -> None:
        """Writes `metrics.json` into the folder."""
        (Path(folder) / METRICS_FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Evaluation":
        """Reads what `save` has written.

        Raises:
            DataError: the file is missing or unreadable.
        """
        path = Path(folder) / METRICS_FILE
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(f"{folder} holds no evaluation: it has no {METRICS_FILE}.") from None
        except (ValidationError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error


def method_title(name: str) -> str:
    """Returns a method's name as people read it."""
    return name.replace("_", " ")
