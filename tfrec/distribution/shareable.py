"""What several replicas can train together, and what they cannot."""

from pathlib import Path

from tfrec.config import Settings
from tfrec.distribution.shards import part_of
from tfrec.distribution.workers import Workers
from tfrec.errors import SettingsError
from tfrec.spec import ModelSpec


def shares_tables(settings: Settings, workers: Workers) -> bool:
    """Whether each worker holds a part of the tables of items: where several make sparse updates."""
    return settings.training.sparse_updates and workers.count > 1


def require_shareable(settings: Settings, teacher: Path | None, workers: Workers) -> None:
    """Refuses what replicas do not know how to share.

    Raises:
        SettingsError: several replicas are to prune, to learn from a teacher, or to rank where each knows a
            part of the users; several devices of a process are to update rows; a batch cannot be cut into as
            many shares as there are replicas.
    """
    workers.require_divisible(settings.training.rows)
    if workers.replicas == 1:
        return
    asked = {"training.sparsity": settings.training.sparsity > 0, "--teacher": teacher is not None}
    if settings.training.share_users and settings.ranking.tasks:
        raise SettingsError(
            "training.share_users: impressions, from which tasks of ranking learn, are read whole. "
            "Set training.share_users=false, or train without tasks."
        )
    for name, is_asked in asked.items():
        if is_asked:
            raise SettingsError(f"{name} is for one process; use --strategy none")
    if settings.training.sparse_updates and workers.replicas > workers.count:
        raise SettingsError(
            f"training.sparse_updates wants a process for each device, and {workers.count} have "
            f"{workers.replicas}. Use --strategy multiworker, and let each process see one device."
        )


def require_tables_shareable(spec: ModelSpec, workers: Workers) -> None:
    """Refuses models whose tables of items workers cannot hold together.

    Raises:
        SettingsError: a step meets all rows; items share rows; the model ranks; a worker would have no row.
    """
    where = "training.sparse_updates by several workers"
    if spec.full_softmax:
        raise SettingsError(
            f"{where}: the loss goes over all {spec.items} items (loss.negatives={spec.loss.negatives}), "
            "so that each step meets every row. Set loss.negatives=sampled."
        )
    if spec.settings.id_table != "full":
        raise SettingsError(
            f"{where}: model.id_table={spec.settings.id_table} is for one process. Set model.id_table=full."
        )
    if spec.ranking.tasks:
        raise SettingsError(
            f"{where}: tasks of ranking ({', '.join(spec.ranking.tasks)}) are for one process. "
            "Train without them, or with training.sparse_updates=false."
        )
    begin, end = part_of(spec.items, workers.count - 1, workers.count)
    if begin == end:
        raise SettingsError(f"{where}: {spec.items} items are too few for {workers.count} workers.")
