"""MovieLens: ratings.dat (1M, 10M), ratings.csv (20M and later) or u.data (100K), and the movies beside."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from data_prep.file_table import FileTable, present
from data_prep.files import LogFile, read_file
from data_prep.items import ItemTable
from data_prep.logs import columns_of
from data_prep.options import PrepareOptions
from data_prep.sources.base import Source
from data_prep.text import read_bare_text
from tfrec.errors import DataError

RATINGS = ("ratings.dat", "ratings.csv", "u.data")
MOVIES = {"ratings.dat": "movies.dat", "ratings.csv": "movies.csv", "u.data": "u.item"}
COLUMNS = ["userId", "movieId", "rating", "timestamp"]
# u.item has a 0/1 column for each genre, in this order (its u.genre).
GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary"),
    *("Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller"),
    *("War", "Western"),
)


def files(paths: Sequence[Path], options: PrepareOptions) -> list[LogFile]:
    """Returns the ratings."""
    path = _ratings(paths)
    return [LogFile(path, columns_of(options), None if path.suffix == ".csv" else _bare_ratings)]


def items(paths: Sequence[Path]) -> ItemTable | None:
    """Reads the movies file of the same edition, where it lies beside the ratings."""
    path = _ratings(paths)
    movies = path.with_name(MOVIES[path.name])
    return ItemTable(_read_movies(movies), {"genres": "multi"}, ("title",)) if movies.exists() else None


def _ratings(paths: Sequence[Path]) -> Path:
    """The ratings file among the paths, or in the one folder named."""
    candidates = [Path(p) / name if Path(p).is_dir() else Path(p) for p in paths for name in RATINGS]
    found = [path for path in dict.fromkeys(candidates) if path.name in RATINGS and path.is_file()]
    if len(found) != 1:
        named = ", ".join(map(str, paths)) or "nothing"
        raise DataError(
            f"the source `movielens` reads one of {', '.join(RATINGS)}; {named} gives {len(found)}"
        )
    return found[0]


def _bare_ratings(path: Path, columns: Sequence[str]) -> FileTable:
    file = _without_header(path, COLUMNS)
    return replace(file, table=file.table.select(present(path, columns, COLUMNS)))


def _without_header(path: Path, names: Sequence[str]) -> FileTable:
    """A file of '::' or tabs, in Latin 1."""
    content = path.read_bytes().decode("latin-1").replace("::", "\t").encode()
    if not content.strip():
        raise DataError(f"{path} is empty")
    return read_bare_text(path, content, names, "\t")


def _read_movies(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        frame = read_file(path, ["movieId", "title", "genres"]).table.to_pandas()
        return frame.rename(columns={"movieId": "item_id"})
    if path.name == "movies.dat":
        return _without_header(path, ["item_id", "title", "genres"]).table.to_pandas()
    frame = pd.read_csv(path, sep="|", header=None, encoding="latin-1")
    flags = frame.iloc[:, 5:].to_numpy(bool)
    genres = ["|".join(g for g, has in zip(GENRES, row, strict=False) if has) for row in flags]
    return pd.DataFrame({"item_id": frame[0], "title": frame[1], "genres": genres})


SOURCE = Source(
    "MovieLens ratings: ratings.dat, ratings.csv or u.data",
    files,
    items,
    PrepareOptions(
        user="userId",
        item="movieId",
        time="timestamp",
        context={"rating": "numeric"},
        time_unit="s",
        max_events_a_day="none",
        split="leave_one_out",
    ),
)
