"""The pods of overlays/train-workers find each other."""

import pytest

from tests.k8s.rendering import Manifest, Pod, only
from tfrec.distribution.cluster import cluster_of

workers = pytest.mark.parametrize("manifests", ["overlays/train-workers"], indirect=True)


@workers
def test_each_knows_all(manifests: list[Manifest], pod: Pod) -> None:
    job = only(manifests, "Job", "train")["spec"]
    assert job["completionMode"] == "Indexed"
    assert job["completions"] == job["parallelism"]
    for index in range(job["completions"]):
        # What Kubernetes sets in a pod of an Indexed Job.
        own = {"JOB_COMPLETION_INDEX": str(index), "HOSTNAME": f"train-{index}"}
        cluster = cluster_of(pod.variables("train") | own)
        assert cluster.task.index == index
        assert len(cluster.cluster.worker) == job["completions"]
        service, port = cluster.cluster.worker[index].removeprefix(f"train-{index}.").split(":")
        assert pod.spec["subdomain"] == service
        assert only(manifests, "Service", service)["spec"]["clusterIP"] == "None"
        assert pod.containers["train"]["ports"] == [{"name": "workers", "containerPort": int(port)}]


@workers
def test_they_and_nobody_else_reach_each_other(manifests: list[Manifest], pod: Pod) -> None:
    selectors = [
        only(manifests, "Service", "trainers")["spec"]["selector"],
        only(manifests, "NetworkPolicy", "trainers")["spec"]["podSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector.items() <= pod.labels.items()


@workers
def test_their_volume_is_one_that_several_nodes_can_write_to(manifests: list[Manifest], pod: Pod) -> None:
    assert only(manifests, "PersistentVolumeClaim", "runs")["spec"]["accessModes"] == ["ReadWriteMany"]
