"""What every pod of k8s/ has, and that what jobs call is what the program takes."""

import importlib
import re
import shlex

import pytest
import typer

from tests.k8s.rendering import JOBS, SERVING, Manifest, Pod, only
from tfrec.cli.app import COMMANDS

every = pytest.mark.parametrize("manifests", SERVING + JOBS, indirect=True)


@every
def test_every_container_has_requests_and_limits(pod: Pod) -> None:
    for name, container in pod.containers.items():
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert {"cpu", "memory"} <= set(requests), name
        assert {"cpu", "memory"} <= set(limits), name
        # What is used beyond the request is what a node takes back first, by killing the pod.
        assert name.startswith(("fetch", "upload")) or requests["memory"] == limits["memory"], name


@every
def test_no_container_may_do_more_than_it_needs(pod: Pod) -> None:
    assert pod.spec["securityContext"]["runAsNonRoot"]
    assert not pod.spec["automountServiceAccountToken"]
    for name, container in pod.containers.items():
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"], name
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name


@every
def test_only_who_copies_sees_the_key_of_the_storage(pod: Pod) -> None:
    for name in pod.containers:
        copies = name.startswith(("fetch", "upload"))
        assert ("storage-key" in pod.mounts(name).values()) == copies, name


@every
def test_every_volume_is_there_and_used(pod: Pod) -> None:
    mounted = {volume for name in pod.containers for volume in pod.mounts(name).values()}
    assert mounted == {volume["name"] for volume in pod.spec["volumes"]}


@every
def test_a_pod_has_an_account(manifests: list[Manifest], pod: Pod) -> None:
    account = pod.spec["serviceAccountName"]
    if "canary" in pod.name:  # the account is that of base/
        assert account == "recommender"
    else:
        assert only(manifests, "ServiceAccount", account)["automountServiceAccountToken"] is False


def calls(pod: Pod) -> list[tuple[str, list[str]]]:
    """Containers, and what they tell `tfrec`, with the variables of their shell filled in."""
    found = []
    for name, container in pod.containers.items():
        words = pod.words(name)
        if container["image"].startswith("tfrec-retrieval"):
            found.append((name, words))
        elif words[:1] == ["tfrec"]:
            found.append((name, words[1:]))
        elif words[:2] == ["/bin/sh", "-ec"] and container["image"].startswith("tfrec-"):
            script = re.sub(r"\$\(cat [^)]*\)", "7", words[2].replace("\\\n", " "))
            for variable, value in sorted(pod.variables(name).items(), reverse=True):  # longer names first
                script = script.replace(f"${variable}", value)
            lines = [line for line in script.splitlines() if line.strip().startswith("tfrec ")]
            assert lines, name
            found += [(name, shlex.split(line)[1:]) for line in lines]
    return found


@every
def test_the_program_takes_what_it_is_told(pod: Pod) -> None:
    """Read by the program's own parser; nothing is run."""
    app = typer.Typer()
    for name in COMMANDS:
        importlib.import_module(f"tfrec.cli.{name}").register(app)
    program = typer.main.get_command(app)
    told = calls(pod)
    assert told
    for name, words in told:
        assert words[0] in program.commands, f"{name}: tfrec has no command {words[0]}"
        program.commands[words[0]].make_context(words[0], words[1:])


@every
def test_images_are_pinned(pod: Pod) -> None:
    for name, container in pod.containers.items():
        assert re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+(-cpu|-gpu)?", container["image"]), name
