"""Settings of how a model is trained, and of what is done to its log meanwhile."""

from typing import Literal

from pydantic import Field, model_validator

from tfrec.frozen import Frozen


class AugmentationSettings(Frozen):
    """How training sequences are changed, anew each epoch; see tfrec.augmentation."""

    drop: float = Field(0.0, ge=0, lt=1, description="share of events left out")
    reorder: float = Field(0.0, ge=0, le=1, description="share of neighbours in a session changed about")
    mask: float = Field(0.0, ge=0, lt=1, description="share of items hidden from the query tower")
    cut_at_sessions: bool = Field(False, description="windows begin at sessions")


class TrainingSettings(Frozen):
    """How the parameters are found."""

    epochs: int = Field(20, ge=1, description="passes over the log, at most")
    pretraining_epochs: int = Field(0, ge=0, description="of these, the first ones that find hidden items")
    pretraining_mask: float = Field(0.2, gt=0, lt=1, description="share of items that they hide")
    rows: int = Field(8, ge=1, description="packed rows a step; many on a small log learn worse")
    row_length: int | None = Field(None, ge=2, description="places of a packed row; null: max_length + 1")
    learning_rate: float = Field(2e-3, gt=0, description="of Adam, the highest")
    warm_up: float = Field(0.05, ge=0, lt=1, description="share of all steps; then a cosine to 0")
    beta_2: float = Field(0.98, gt=0, lt=1, description="of Adam")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW, on matrices and tables")
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the whole gradient")
    average: float = Field(
        0.05, ge=0, lt=1, description="share of all steps whose weights are averaged; 0: the last ones count"
    )
    half_life_days: float | None = Field(
        None, gt=0, description="targets count half as much each so many days before the last; null: alike"
    )
    sparse_updates: bool = Field(
        False, description="move only the rows of items that a step meets: from some million items on"
    )
    share_users: bool = Field(
        False,
        description="of several workers each reads its part of the users alone, for logs that fit into no "
        "memory; false: each reads all, and they learn what one would",
    )
    sparsity: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the numbers of matrices and tables that end as 0; see tfrec.pruning",
    )
    pruning_begin: float = Field(0.2, ge=0, lt=1, description="share of all steps before the first become 0")
    pruning_end: float = Field(0.7, gt=0, le=1, description="share of all steps after which all have")
    rule_folds: int = Field(8, ge=2, description="parts of the users, each trained with the others' rules")
    patience: int = Field(5, ge=1, description="epochs without a better validation metric before the end")
    validation_users: int = Field(2000, ge=1, description="users whose val events are asked after an epoch")
    precision: Literal["float32", "mixed_bfloat16"] = Field(
        "float32", description="of matrix products; bfloat16 pays where the hardware has it"
    )
    xla: bool = Field(True, description="compile the step; ten times as fast on a CPU")

    @model_validator(mode="after")
    def _pruning_takes_time(self) -> "TrainingSettings":
        if self.pruning_begin >= self.pruning_end:
            raise ValueError(
                f"pruning_begin={self.pruning_begin} must be below pruning_end={self.pruning_end}"
            )
        return self
