"""The whole gate: a version is started, asked, compared with the current one, put under load, and judged."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.rollout.answers import faults_of
from serving.rollout.checks import Check, checks_of, not_loaded
from serving.rollout.comparison import Comparison, compare
from serving.rollout.golden import Golden, read_golden
from serving.rollout.measuring import Measured, Say, measure
from serving.rollout.settings import RolloutSettings
from serving.rollout.version_process import VersionError, check_version_folder
from tfrec.errors import DataError


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Attributes:
        newer: folder of the version that was judged.
        current: folder of the version it was compared with, if any.
        requests: where the golden requests came from.
        settings: the thresholds.
        checks: in the order of the report.
        faults: all that is wrong with the newer version's answers, in words.
        measured: of the newer and of the current version, as far as they were measured.
        comparison: of their answers.
    """

    newer: Path
    current: Path | None
    requests: str
    settings: RolloutSettings
    checks: Sequence[Check]
    faults: Sequence[str] = ()
    measured: tuple[Measured | None, Measured | None] = (None, None)
    comparison: Comparison | None = None

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.passed is not False for check in self.checks)


def check_version(
    newer: Path,
    current: Path | None,
    requests: Path | None,
    settings: RolloutSettings,
    say: Say = lambda text: None,
) -> Verdict:
    """Judges whether a version may take traffic.

    Args:
        newer: servables/NAME/VERSION.
        current: the version that has the traffic; None: there is none to compare with.
        requests: golden requests, JSON lines; None: warm-up requests of the current version, or else of the
            newer one itself.
        settings: the thresholds.
        say: is told what is being done.

    Raises:
        DataError: a folder is no version's, the golden requests cannot be used, or the current version does
            not serve: there is nothing to compare with.
        ModuleNotFoundError: a package that serving needs is not installed.
    """
    folders = [check_version_folder(folder) for folder in (newer, current) if folder is not None]
    golden = None if requests is None else read_golden(requests, int(time.time()))
    source = str(requests) if requests else f"warm-up requests of {folders[-1]}"
    theirs = None if current is None else _measure_current(current, golden, source, settings, say)
    try:
        ours = measure(newer, theirs.golden if theirs else golden, settings, say)
    except VersionError as error:
        checks = [not_loaded(str(error))]
        return Verdict(newer, current, source, settings, checks, measured=(None, theirs))
    if theirs is None:
        _check_golden(ours, source)
    # What users are used to get; a version without one to compare has to give what it says.
    k = min(settings.k, (theirs or ours).info.k)
    faults = [fault for answer in ours.answers for fault in faults_of(answer, ours.info, k)]
    comparison = compare(ours.answers, theirs.answers, k) if theirs else None
    checks = checks_of(ours, theirs, faults, comparison, settings)
    return Verdict(newer, current, source, settings, checks, faults, (ours, theirs), comparison)


def _measure_current(
    folder: Path, golden: Sequence[Golden] | None, source: str, settings: RolloutSettings, say: Say
) -> Measured:
    try:
        measured = measure(folder, golden, settings, say)
    except VersionError as error:
        raise DataError(
            f"the current version does not serve, so there is nothing to compare: {error}"
        ) from error
    _check_golden(measured, source)
    refused = [answer.refusal for answer in measured.answers if answer.refusal is not None]
    if refused:
        raise DataError(f"{source}: the current version {folder} refuses them: {refused[0]}") from refused[0]
    return measured


def _check_golden(measured: Measured, source: str) -> None:
    """What cannot be asked of the only version, or the current one, is no golden request.

    Raises:
        DataError: there is none, or the version does not take what one says.
    """
    if not measured.golden:
        raise DataError(f"{source}: none asks for recommendations. Name a file of requests by --requests.")
    for answer in measured.answers:
        if isinstance(answer.refusal, DataError):
            raise answer.refusal
