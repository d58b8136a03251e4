"""That the containers of a serving pod, its configuration, and what stands around it mean the same things."""

from pathlib import PurePosixPath

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.retrieval.server import LIVE
from tests.k8s.rendering import SERVING, Manifest, Pod, config_map, only

every = pytest.mark.parametrize("manifests", SERVING, indirect=True)
stable = pytest.mark.parametrize(
    "manifests", [name for name in SERVING if "canary" not in name], indirect=True
)

# Flags of tensorflow_model_server 2.20 that are used here, from its main.cc.
KNOWN_FLAGS = {
    "--enable_grpc_healthcheck_service",
    "--enable_model_warmup",
    "--file_system_poll_wait_seconds",
    "--grpc_socket_path",
    "--max_num_load_retries",
    "--per_process_gpu_memory_fraction",
    "--port",
    "--rest_api_port",
    "--tensorflow_inter_op_parallelism",
    "--tensorflow_intra_op_parallelism",
}


@every
def test_model_versions_and_paths_agree(pod: Pod) -> None:
    release = pod.variables("retrieval")
    volumes = {found["name"]: found for found in pod.spec["volumes"]}
    mounted = pod.mounts("tf-serving")["/etc/tf-serving"]
    files = config_map(pod.manifests, volumes[mounted]["configMap"]["name"])
    config = text_format.Parse(files["models.config"], model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert model.name == release["MODEL"]
    version = release["MODEL_VERSION"]
    assert [str(found) for found in model.model_version_policy.specific.versions] == [version]
    assert pod.words("fetch-model")[:3] == [
        "copy",
        f"{release['STORAGE']}/servables/{model.name}/{version}",
        f"{model.base_path}/{version}",
    ]
    indexes = pod.words("retrieval")[1]
    assert pod.words("fetch-index")[2] == f"{indexes}/{release['INDEX_VERSION']}"


@every
def test_what_is_fetched_is_what_is_read(pod: Pod) -> None:
    assert pod.mounts("fetch-model")["/models"] == pod.mounts("tf-serving")["/models"]
    assert pod.mounts("fetch-index")["/indexes"] == pod.mounts("retrieval")["/indexes"]


@every
def test_both_programs_know_the_same_socket(pod: Pod) -> None:
    socket = PurePosixPath(pod.flags("tf-serving")["--grpc_socket_path"])
    assert pod.flags("retrieval")["--encoder"] == f"unix:{socket}"
    folder = str(socket.parent)
    assert pod.mounts("tf-serving")[folder] == pod.mounts("retrieval")[folder]


@every
def test_ports_are_those_that_the_programs_listen_on(pod: Pod) -> None:
    serving, retrieval = pod.flags("tf-serving"), pod.flags("retrieval")
    ports = {name: container_ports(pod, name) for name in ("tf-serving", "retrieval")}
    assert ports["tf-serving"] == {
        "encoder": int(serving["--port"]),
        "tf-metrics": int(serving["--rest_api_port"]),
    }
    assert ports["retrieval"] == {
        "grpc": int(retrieval["--port"]),
        "metrics": int(retrieval["--metrics-port"]),
    }
    # One pod has one address.
    assert len({port for found in ports.values() for port in found.values()}) == 4


def container_ports(pod: Pod, name: str) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in pod.containers[name]["ports"]}


@every
def test_probes_ask_the_programs_own_port(pod: Pod) -> None:
    for name in ("tf-serving", "retrieval"):
        container, port = pod.containers[name], pod.flags(name)["--port"]
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            # A restart mends nothing that the encoder lacks.
            live = LIVE if (name, kind) == ("retrieval", "livenessProbe") else ""
            if "--tls-cert" in pod.flags(name):  # the kubelet's own probes speak plain text
                command = container[kind]["exec"]["command"]
                assert f"localhost:{port}" in command
                assert (f"--service={LIVE}" in command) == bool(live)
            else:
                asked = {"port": int(port)} | ({"service": live} if live else {})
                assert container[kind]["grpc"] == asked
    assert pod.flags("tf-serving")["--enable_grpc_healthcheck_service"] == "true"


@every
def test_flags_are_those_of_tensorflow_serving(pod: Pod) -> None:
    assert set(pod.flags("tf-serving")) <= KNOWN_FLAGS


@every
def test_the_encoder_starts_before_the_retrieval_server_and_ends_after_it(pod: Pod) -> None:
    assert list(pod.containers) == ["fetch-model", "fetch-index", "tf-serving", "retrieval"]
    assert pod.containers["tf-serving"]["restartPolicy"] == "Always"


@every
def test_a_pod_lives_until_its_requests_have_ended(pod: Pod) -> None:
    retrieval = pod.containers["retrieval"]
    last_comers = retrieval["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = float(pod.flags("retrieval")["--drain-s"])
    assert pod.spec["terminationGracePeriodSeconds"] >= last_comers + drain + 15


@every
def test_a_gpu_where_there_should_be_one(pod: Pod, request: pytest.FixtureRequest) -> None:
    container = pod.containers["tf-serving"]
    on_gpu = "cpu" not in request.node.name
    assert container["image"].endswith("-gpu" if on_gpu else "-cpu")
    assert container["resources"]["limits"].get("nvidia.com/gpu") == ("1" if on_gpu else None)
    assert ("--per_process_gpu_memory_fraction" in pod.flags("tf-serving")) == on_gpu


@stable
def test_what_stands_around_means_this_pod(manifests: list[Manifest], pod: Pod) -> None:
    service = only(manifests, "Service", "recommender")["spec"]
    assert service["clusterIP"] == "None"  # clients see each pod
    budget = only(manifests, "PodDisruptionBudget", "recommender")["spec"]["selector"]["matchLabels"]
    policy = only(manifests, "NetworkPolicy", "recommender")["spec"]
    for selector in (service["selector"], budget, policy["podSelector"]["matchLabels"]):
        assert selector.items() <= pod.labels.items()
        assert "track" not in selector  # a canary's pods are meant too
    (port,) = service["ports"]
    assert port["targetPort"] in container_ports(pod, "retrieval")
    assert port["port"] == container_ports(pod, "retrieval")[port["targetPort"]]
    scaler = only(manifests, "HorizontalPodAutoscaler", "recommender")["spec"]
    target = scaler["scaleTargetRef"]
    deployment = only(manifests, target["kind"], target["name"])
    assert "replicas" not in deployment["spec"]  # or each `kubectl apply` would undo the autoscaler
    (metric,) = scaler["metrics"]
    assert metric["containerResource"]["container"] in pod.containers


@stable
def test_nobody_reaches_the_encoder_past_the_retrieval_server(manifests: list[Manifest], pod: Pod) -> None:
    policy = only(manifests, "NetworkPolicy", "recommender")["spec"]
    open_ports = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    serving = container_ports(pod, "tf-serving")
    assert open_ports == {*container_ports(pod, "retrieval").values(), serving["tf-metrics"]}


@pytest.mark.parametrize("manifests", ["overlays/canary"], indirect=True)
def test_a_canary_is_a_deployment_of_its_own_in_the_same_service(manifests: list[Manifest], pod: Pod) -> None:
    deployment = only(manifests, "Deployment", "recommender-canary")
    assert deployment["metadata"]["namespace"] == "recommendation"
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector == {"app.kubernetes.io/name": "recommender", "track": "canary"}
    assert selector.items() <= pod.labels.items()
    assert deployment["spec"]["replicas"] == 1
    assert not [m for m in manifests if m["kind"] not in {"Deployment", "ConfigMap"}]
