"""The versions of a model: found in its folder, loaded beside the one that serves, switched, unloaded.

As in TensorFlow Serving: a folder `NAME/` holds versions, subfolders with whole numbers for names; the
highest that loads serves. A version that does not load is reported and left alone until its files
change, and the one before it goes on serving. Take the newest away, and the one before comes back.

States and transitions belong to one event loop; only loading runs in a thread.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from serving.loading import Servable
from serving.status import Code, ServingError
from tfrec.errors import DataError, TfrecError

log = logging.getLogger("tfrec.serving")

Load = Callable[[Path], Servable]

_REMEMBERED = 32


class State(IntEnum):
    """States of a version, numbered as in TensorFlow Serving's ModelVersionStatus."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(eq=False)
class Version:
    """One version and what became of it."""

    number: int
    folder: Path
    fingerprint: tuple[Any, ...]
    state: State = State.START
    error: str = ""
    servable: Servable | None = None
    users: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)


class Versions:
    """Keeps the newest good version of a model in service.

    Args:
        name: the model's name in requests.
        folder: holds the version folders.
        load: loads and warms up a version; raises TfrecError for a version that is no good.
        on_change: called after every change of what is available.
        on_reject: called for every version that is not taken.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        load: Load,
        on_change: Callable[[], Any] = lambda: None,
        on_reject: Callable[[], Any] = lambda: None,
    ) -> None:
        self.name = name
        self.folder = folder
        self._load = load
        self._on_change = on_change
        self._on_reject = on_reject
        self._versions: dict[int, Version] = {}
        self._current: Version | None = None
        self._unloading: set[asyncio.Task[None]] = set()

    @property
    def available(self) -> bool:
        """Whether requests can be answered."""
        return self._current is not None

    @property
    def number(self) -> float:
        """Of the version that serves; NaN where none does."""
        current = self._current
        return current.number if current else float("nan")

    def all(self) -> list[Version]:
        """Every version seen, newest first."""
        return [self._versions[number] for number in sorted(self._versions, reverse=True)]

    @contextlib.contextmanager
    def use(self, spec: Any) -> Iterator[Servable]:
        """The version that a ModelSpec asks for; it stays loaded within the block.

        Raises:
            ServingError: NOT_FOUND; INVALID_ARGUMENT for a label, which only TensorFlow Serving's
                configuration can give.
        """
        version = self._find(spec)
        assert version.servable is not None
        version.users += 1
        try:
            yield version.servable
        finally:
            version.users -= 1
            if version.users == 0:
                version.unused.set()

    def _find(self, spec: Any) -> Version:
        check_spec(spec)
        wanted = spec.version.value if spec.HasField("version") else None
        # One server serves one model, so a request that names none means this one.
        if spec.name in ("", self.name) and self._current and wanted in (None, self._current.number):
            return self._current
        kind = f"Latest({spec.name})" if wanted is None else f"Specific({spec.name}, {wanted})"
        raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {kind}")

    async def look(self) -> None:
        """Brings the newest good version of the folder into service."""
        for number, folder, fingerprint in _found(self.folder):
            known = self._versions.get(number)
            unchanged = known is not None and known.fingerprint == fingerprint
            if known is not None and known is self._current:
                return
            if unchanged and known is not None and known.error:
                continue
            version = Version(number, folder, fingerprint)
            self._versions[number] = version
            if await self._bring_up(version):
                return

    async def _bring_up(self, version: Version) -> bool:
        version.state = State.LOADING
        try:
            version.servable = await asyncio.to_thread(self._load, version.folder)
        except TfrecError as error:
            self._reject(version, str(error))
            return False
        except Exception as error:
            log.exception("loading %s failed", version.folder)
            self._reject(version, f"{version.folder} cannot be loaded: {error}")
            return False
        old, self._current = self._current, version
        version.state = State.AVAILABLE
        log.info("%s version %d serves", self.name, version.number)
        self._on_change()
        if old is not None:
            task = asyncio.create_task(self._unload(old))
            self._unloading.add(task)
            task.add_done_callback(self._unloading.discard)
        return True

    def _reject(self, version: Version, reason: str) -> None:
        version.state, version.error = State.END, reason
        serving = f"version {self._current.number} goes on serving" if self._current else "nothing serves"
        log.error("%s version %d is not taken: %s (%s)", self.name, version.number, reason, serving)
        self._on_reject()

    async def _unload(self, version: Version) -> None:
        """Lets a version go when its last request has ended."""
        version.state = State.UNLOADING
        version.unused.clear()
        if version.users:
            await version.unused.wait()
        if version.servable is not None:
            await asyncio.to_thread(version.servable.close)
        version.servable = None
        version.state = State.END
        log.info("%s version %d is unloaded", self.name, version.number)
        ended = [seen.number for seen in self.all() if seen.state is State.END]
        for number in ended[_REMEMBERED:]:
            del self._versions[number]

    async def close(self) -> None:
        """Unloads everything, after the requests that run have ended."""
        old, self._current = self._current, None
        self._on_change()
        if old is not None:
            await self._unload(old)
        await asyncio.gather(*self._unloading)

    def require(self) -> None:
        """Checks that a version serves.

        Raises:
            DataError: none does, with the reason for each.
        """
        if self.available:
            return
        reasons = [f"version {version.number}: {version.error}" for version in self.all()]
        raise DataError(
            f"no version of {self.folder} can serve. " + "\n".join(reasons)
            if reasons
            else f"{self.folder} holds no version: no folder in it has a number for its name. "
            "`tfrec export` writes one; name the folder above the numbers."
        )


def check_spec(spec: Any) -> None:
    """Refuses version labels, which only the configuration of TensorFlow Serving can give.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if spec.version_label:
        text = f"Unrecognized servable version label: {spec.version_label}"
        raise ServingError(Code.INVALID_ARGUMENT, text)


def _found(folder: Path) -> list[tuple[int, Path, tuple[Any, ...]]]:
    """The version folders, newest first, each with what changes when its files do."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name.isascii() and path.name.isdigit() and path.is_dir():
            with contextlib.suppress(FileNotFoundError):
                found.append((int(path.name), path, _fingerprint(path)))
    return sorted(found, reverse=True)


def _fingerprint(folder: Path) -> tuple[Any, ...]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    stats = [path.stat() for path in files]
    return tuple(
        (str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns)
        for path, stat in zip(files, stats, strict=True)
    )
