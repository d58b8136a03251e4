"""What a dataset was made of, and how: enough to make it again when the log has grown."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from data_prep.options import PrepareOptions
from tfrec.errors import DataError
from tfrec.frozen import Frozen

RECIPE_FILE = "recipe.json"


class Recipe(Frozen):
    """`recipe.json` of a dataset. Its paths are relative to the dataset's folder: both can be moved."""

    source: str
    paths: tuple[Path, ...] = Field(description="files and folders of the log")
    options: PrepareOptions

    @classmethod
    def of(cls, source: str, paths: Sequence[Path], options: PrepareOptions, out: Path) -> "Recipe":
        """Returns the recipe of a dataset that is to be written to `out`."""

        def as_seen(path: Path) -> Path:
            return Path(os.path.relpath(path, out))

        return cls(source=source, paths=tuple(map(as_seen, paths)), options=_with_paths(options, as_seen))

    @classmethod
    def load(cls, dataset: Path) -> "Recipe":
        """Reads a dataset's, its paths as they are seen from here.

        Raises:
            DataError: there is none, or it cannot be read.
        """
        path = Path(dataset) / RECIPE_FILE
        if not path.is_file():
            raise DataError(
                f"{dataset} has no {RECIPE_FILE}, which says what it was made of. Prepare the whole log anew."
            )
        try:
            found = cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read: {error}. Prepare the whole log anew.") from error

        def from_here(path: Path) -> Path:
            return Path(os.path.normpath(dataset / path))

        paths = tuple(map(from_here, found.paths))
        return cls(source=found.source, paths=paths, options=_with_paths(found.options, from_here))

    def save(self, folder: Path) -> None:
        """Writes `recipe.json` into the folder."""
        (folder / RECIPE_FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _with_paths(options: PrepareOptions, change: Callable[[Path], Path]) -> PrepareOptions:
    """Options whose files are named otherwise."""
    found: dict[str, object] = {}
    if options.items_file is not None:
        found["items_file"] = change(options.items_file)
    if options.impressions is not None:
        found["impressions"] = options.impressions.model_copy(
            update={"file": change(options.impressions.file)}
        )
    return options.model_copy(update=found)
