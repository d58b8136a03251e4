"""Who trains together, from the environment of a process."""

import json

import pytest

from tfrec.distribution.cluster import cluster_of
from tfrec.errors import SettingsError

POD = {
    "JOB_COMPLETION_INDEX": "1",
    "HOSTNAME": "train-1",
    "TFREC_WORKERS": "3",
    "TFREC_SERVICE": "trainers",
}


def test_tf_config_says_it() -> None:
    addresses = ["a:1", "b:2"]
    cluster = cluster_of(
        {"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"index": 0}})} | POD
    )
    assert cluster.cluster.worker == addresses
    assert cluster.chief


def test_an_indexed_job_says_it() -> None:
    cluster = cluster_of(POD)
    assert cluster.cluster.worker == [f"train-{i}.trainers:2222" for i in range(3)]
    assert cluster.task.index == 1
    assert not cluster.chief
    assert cluster_of(POD | {"TFREC_PORT": "7"}).cluster.worker[2] == "train-2.trainers:7"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "JOB_COMPLETION_INDEX is not set"),
        ({**POD, "TFREC_SERVICE": ""}, "TFREC_SERVICE is not set"),
        ({**POD, "TFREC_WORKERS": "many"}, "TFREC_WORKERS='many'"),
        ({**POD, "HOSTNAME": "laptop"}, "HOSTNAME 'laptop'"),
        ({**POD, "JOB_COMPLETION_INDEX": "3", "HOSTNAME": "train-3"}, "task.index 3: there are 3 workers"),
        ({"TF_CONFIG": "{"}, "Invalid JSON"),
        ({"TF_CONFIG": '{"cluster": {"worker": []}, "task": {"index": 0}}'}, "cluster.worker"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["here"]}, "task": {"index": 0}}'}, "cluster.worker.0"),
        ({"TF_CONFIG": '{"cluster": {"ps": ["a:1"]}, "task": {"index": 0}}'}, "cluster.worker"),
    ],
)
def test_what_makes_no_cluster_is_said(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        cluster_of(environment)
