"""What an evaluation of ranking has found, as it stands in `ranking.json`."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from tfrec.errors import DataError
from tfrec.evaluation_results import Metrics
from tfrec.frozen import Frozen

RANKING_FILE = "ranking.json"


class Slice(Frozen):
    """A part of the impressions."""

    impressions: int
    auc: float | None = Field(description="mean over impressions; None where none has both labels")


class TaskResult(Frozen):
    """One task's figures."""

    kind: Literal["binary", "regression"] = "binary"
    share: float = Field(description="of candidates that have the label, or a number")
    metrics: Metrics = Field(
        description="of regression: rmse, mae, r2; else auc, mrr, ndcg@5, ndcg@10: means over impressions; "
        "auc_by_user: over users; auc_overall; log_loss, calibration_error; precision, recall, f1 at the "
        "threshold"
    )
    threshold: float | None = Field(description="with the highest F1 on val impressions; None without any")
    predicted: list[float] = Field(description="mean predictions of bins of as many candidates each")
    observed: list[float] = Field(description="shares of the label, or mean numbers, in these bins")
    slices: dict[str, dict[str, Slice]] = Field(description="by slice and bucket")


class RankingEvaluation(Frozen):
    """The figures of all tasks on the same impressions."""

    source: str
    role: str
    impressions: int
    candidates: int
    sampled: bool = Field(False, description="made of the log itself; candidates count for those not drawn")
    tasks: dict[str, TaskResult]

    def save(self, folder: Path) -> None:
        """Writes `ranking.json` into the folder."""
        (Path(folder) / RANKING_FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "RankingEvaluation":
        """Reads what `save` has written.

        Raises:
            DataError: the file is missing or unreadable.
        """
        path = Path(folder) / RANKING_FILE
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(f"{folder} holds no evaluation of ranking: it has no {RANKING_FILE}.") from None
        except (ValidationError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error
