"""What `kubectl apply -k` would send, and the pods in it."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
KUBECTL = ROOT / ".venv-manifests" / "bin" / "kubectl"
SERVING = ("overlays/gpu", "overlays/cpu", "overlays/canary", "overlays/gpu-tls")
JOBS = (
    *("jobs/train", "jobs/predict", "jobs/publish", "jobs/refresh"),
    *("overlays/train-gpu", "overlays/refresh-gpu", "overlays/train-workers"),
)

Manifest = dict[str, Any]


def rendered(target: str) -> list[Manifest]:
    """The manifests of a folder of k8s/, as kustomize puts them together."""
    run = subprocess.run(
        [KUBECTL, "kustomize", ROOT / "k8s" / target], capture_output=True, text=True, check=True
    )
    return [found for found in yaml.safe_load_all(run.stdout) if found]


@dataclass
class Pod:
    """A pod template among manifests.

    Attributes:
        name: of what makes the pod.
        spec: of the pod.
        labels: of the pod.
        manifests: all that is applied with it.
    """

    name: str
    spec: Manifest
    labels: dict[str, str]
    manifests: list[Manifest]

    @property
    def containers(self) -> dict[str, Manifest]:
        """Init containers and sidecars included, in the order in which they start."""
        return {
            found["name"]: found for found in [*self.spec.get("initContainers", ()), *self.spec["containers"]]
        }

    def variables(self, container: str) -> dict[str, str]:
        """What the container's ConfigMaps and `env` set."""
        found: dict[str, str] = {}
        for source in self.containers[container].get("envFrom", ()):
            found |= config_map(self.manifests, source["configMapRef"]["name"])
        for entry in self.containers[container].get("env", ()):
            found[entry["name"]] = entry["value"]
        return found

    def words(self, container: str) -> list[str]:
        """The container's command and arguments, with $(NAME) filled in as Kubernetes does.

        Raises:
            KeyError: a name is not set; Kubernetes would leave it as it stands.
        """
        variables = self.variables(container)
        spec = self.containers[container]
        return [
            re.sub(r"\$\((\w+)\)", lambda name: variables[name[1]], word)
            for word in [*spec.get("command", ()), *spec.get("args", ())]
        ]

    def flags(self, container: str) -> dict[str, str]:
        """The container's arguments of the form --name=value."""
        pairs = [word.partition("=") for word in self.words(container) if word.startswith("--")]
        return {name: value for name, _, value in pairs}

    def mounts(self, container: str) -> dict[str, str]:
        """Path: the name of the volume that is mounted there."""
        return {found["mountPath"]: found["name"] for found in self.containers[container]["volumeMounts"]}


def config_map(manifests: list[Manifest], name: str) -> dict[str, str]:
    """The data of a ConfigMap."""
    (found,) = [
        manifest["data"]
        for manifest in manifests
        if manifest["kind"] == "ConfigMap" and manifest["metadata"]["name"] == name
    ]
    return dict(found)


def pods(manifests: list[Manifest]) -> Iterator[Pod]:
    """The pod templates of Deployments, Jobs and CronJobs."""
    for manifest in manifests:
        spec = manifest.get("spec", {})
        if manifest["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if template := spec.get("template"):
            labels = template["metadata"]["labels"]
            yield Pod(manifest["metadata"]["name"], template["spec"], labels, manifests)


def only(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The manifest of that kind and name."""
    (found,) = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    return found
