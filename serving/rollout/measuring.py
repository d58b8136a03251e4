"""What one version shows when it is started, asked golden requests, and put under load."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.rollout.answers import TIMEOUT_S, Answer, ask_all
from serving.rollout.golden import Golden, golden_of_warm_up
from serving.rollout.load import OpenLoad, run_open_load
from serving.rollout.settings import RolloutSettings
from serving.rollout.version_process import serving_version
from tfrec.servable import ServableInfo

Say = Callable[[str], None]


@dataclass(frozen=True)
class Measured:
    """What a version showed.

    Attributes:
        folder: servables/NAME/VERSION.
        info: its metadata.
        start_s: seconds until it served, loaded and warmed up.
        warm_up_requests: how many lie with it.
        golden: what it was asked.
        answers: to each.
        load: None where no golden request was answered.
        peak_mb: most resident memory of its process; None where the system does not tell.
    """

    folder: Path
    info: ServableInfo
    start_s: float
    warm_up_requests: int
    golden: Sequence[Golden]
    answers: Sequence[Answer]
    load: OpenLoad | None
    peak_mb: float | None


def measure(
    folder: Path, golden: Sequence[Golden] | None, settings: RolloutSettings, say: Say = lambda text: None
) -> Measured:
    """Starts a version and asks it.

    Args:
        folder: servables/NAME/VERSION.
        golden: what to ask; None: its own warm-up requests.
        settings: how much.
        say: is told what is being done.

    Raises:
        VersionError: the version does not come into service.
    """
    say(f"loading {folder}")
    with serving_version(folder, settings.start_timeout_s) as version:
        info = ServableInfo.load(folder)
        golden = golden_of_warm_up(version.warm_up) if golden is None else golden
        say(f"asking {folder} {len(golden)} golden requests")
        answers = ask_all(version.target, info, golden)
        requests = [answer.request for answer in answers if answer.refusal is None]
        load = None
        if requests:
            say(f"asking {folder} {settings.load_requests} requests, {settings.rate:g} a second")
            load = run_open_load(version.target, requests, settings.rate, settings.load_requests, TIMEOUT_S)
        peak = version.peak_mb()
        return Measured(folder, info, version.start_s, len(version.warm_up), golden, answers, load, peak)
