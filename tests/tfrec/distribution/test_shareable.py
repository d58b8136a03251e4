"""What several replicas cannot train together is refused before anything is read."""

from pathlib import Path

import pytest

from tests.tfrec.test_training import settings
from tfrec.distribution.shareable import require_shareable, shares_tables
from tfrec.distribution.workers import Workers
from tfrec.errors import SettingsError

TASKS = "ranking.tasks={click: {label: click}}"


def several(processes: int, devices: int) -> Workers:
    """So many processes that have so many devices together."""
    workers = Workers(count=processes)
    workers.replicas = devices
    return workers


@pytest.mark.parametrize(
    ("change", "workers", "message"),
    [
        ("training.sparsity=0.5", several(2, 2), "training.sparsity is for one process"),
        ("training.sparse_updates=true", several(1, 2), "a process for each device, and 1 have 2"),
        ("training.sparse_updates=true", several(2, 4), "a process for each device, and 2 have 4"),
        ("training.rows=5", several(2, 2), "training.rows is 5.*multiple of 2"),
    ],
)
def test_it_is_refused(change: str, workers: Workers, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        require_shareable(settings(change), None, workers)


def test_users_are_not_shared_where_impressions_are_learned_from() -> None:
    asked = settings("training.share_users=true", TASKS)
    require_shareable(asked, None, several(1, 1))
    with pytest.raises(SettingsError, match=r"training\.share_users: impressions.*are read whole"):
        require_shareable(asked, None, several(2, 2))


def test_a_teacher_is_for_one_process() -> None:
    require_shareable(settings(), Path("teacher"), several(1, 1))
    with pytest.raises(SettingsError, match="--teacher is for one process"):
        require_shareable(settings(), Path("teacher"), several(2, 2))


def test_tables_are_shared_by_several_processes_alone() -> None:
    sparse = settings("training.sparse_updates=true")
    assert shares_tables(sparse, several(2, 2))
    assert not shares_tables(sparse, several(1, 1))
    assert not shares_tables(settings(), several(2, 2))
