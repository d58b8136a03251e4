"""What queries say of candidates and of themselves -> the inputs that tasks of ranking take."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from serving.encoding import id_inputs, padded
from serving.queries import Query, unknown_name
from serving.signatures import FILTER, REQUEST_CONTEXT, STATISTIC, Signature
from serving.tensors import Array, array_dtype
from serving.values import to_category, to_id, to_number, wrong
from tfrec.errors import DataError


def list_inputs(
    queries: Sequence[Query],
    paths: Sequence[str],
    signature: Signature,
    candidates: Sequence[Sequence[Any]] | None = None,
) -> dict[str, Array]:
    """The inputs of a signature beside the sequence: lists of ids, statistics, context of the request.

    Args:
        queries: B of them.
        paths: what errors call each query; "" for an only one.
        signature: `recommend`, or `rank` with candidates.
        candidates: of each query.

    Raises:
        DataError: a field is of the wrong type, or not taken.
    """
    at = [f"{path}." if path else "" for path in paths]
    inputs = _contexts(queries, at, signature)
    if candidates is None:
        inputs |= _filters(queries, at, signature)
    names = [name.removeprefix(STATISTIC) for name in signature.inputs if name.startswith(STATISTIC)]
    known = [
        _statistics(query, f"{start}statistics", names, signature)
        for query, start in zip(queries, at, strict=True)
    ]
    if candidates is not None:
        inputs |= id_inputs("candidate_item_id", candidates, [f"{s}candidates" for s in at], signature)
        listed = candidates
    else:
        for name, field in (("exclude_item_id", "exclude"), ("allow_item_id", "allow")):
            lists = [getattr(query, field) for query in queries]
            if name not in signature.inputs:
                # Servables from before there was one.
                for ids, start in zip(lists, at, strict=True):
                    if list(ids):
                        raise DataError(f"{start}{field}: not taken by this servable; export it again")
                continue
            inputs |= id_inputs(name, lists, [f"{s}{field}" for s in at], signature)
        listed = [list(of_query) for of_query in known]
        if names:
            inputs |= id_inputs("statistic_item_id", listed, [f"{s}statistics" for s in at], signature)
    for place, name in enumerate(names):
        rows = [
            [of_query[item][place] if item in of_query else np.nan for item in ids]
            for ids, of_query in zip(listed, known, strict=True)
        ]
        inputs[STATISTIC + name] = padded(rows, "float32", least=0)
    return inputs


def _statistics(
    query: Query, path: str, names: Sequence[str], signature: Signature
) -> dict[Any, list[float]]:
    """The statistics of each item, in the order of `names`; NaN for what is not known."""
    if not isinstance(query.statistics, Mapping):
        raise wrong(path, "a mapping of item to its statistics", query.statistics)
    dtype, found = signature.inputs["item_id"].dtype, {}
    for item, values in query.statistics.items():
        at = f"{path}[{item!r}]"
        to_id(item, dtype, at)
        if not isinstance(values, Mapping):
            raise wrong(at, "a mapping of statistic to number", values)
        for name in values:
            if name not in names:
                raise unknown_name(f"{at}.{name}", str(name), names)
        given = [(values.get(name), f"{at}.{name}") for name in names]
        found[item] = [np.nan if value is None else to_number(value, where) for value, where in given]
    return found


def _filters(queries: Sequence[Query], at: Sequence[str], signature: Signature) -> dict[str, Array]:
    """The inputs `filter.COLUMN` that somebody asks for, filled up with the empty text."""
    known = [name.removeprefix(FILTER) for name in signature.inputs if name.startswith(FILTER)]
    rows: dict[str, list[list[bytes]]] = {name: [[] for _ in queries] for name in known}
    for place, (query, start) in enumerate(zip(queries, at, strict=True)):
        if not isinstance(query.filters, Mapping):
            raise wrong(f"{start}filters", "a mapping of feature to values", query.filters)
        for name, values in query.filters.items():
            path = f"{start}filters.{name}"
            if name not in known:
                raise unknown_name(path, str(name), known)
            if isinstance(values, str) or not isinstance(values, Iterable):
                raise wrong(path, "a list of values", values)
            rows[name][place] = [to_category(value, f"{path}[{i}]") for i, value in enumerate(values)]
            if not rows[name][place]:
                raise DataError(f"{path}: expected at least one value, or no filter, found none")
    return {FILTER + name: padded(found, "string") for name, found in rows.items() if any(found)}


def _contexts(queries: Sequence[Query], at: Sequence[str], signature: Signature) -> dict[str, Array]:
    """The inputs `request_context.NAME`; what is not known is the empty text, or NaN."""
    dtypes = {
        name.removeprefix(REQUEST_CONTEXT): spec.dtype
        for name, spec in signature.inputs.items()
        if name.startswith(REQUEST_CONTEXT)
    }
    columns: dict[str, list[Any]] = {name: [] for name in dtypes}
    for query, start in zip(queries, at, strict=True):
        if not isinstance(query.context, Mapping):
            raise wrong(f"{start}context", "a mapping of column to value", query.context)
        for name in query.context:
            if name not in dtypes:
                raise unknown_name(f"{start}context.{name}", str(name), list(dtypes))
        for name, dtype in dtypes.items():
            value, path = query.context.get(name), f"{start}context.{name}"
            if dtype == "string":
                columns[name].append(to_category("" if value is None else value, path))
            else:
                columns[name].append(np.nan if value is None else to_number(value, path))
    return {REQUEST_CONTEXT + name: np.array(columns[name], array_dtype(d)) for name, d in dtypes.items()}
