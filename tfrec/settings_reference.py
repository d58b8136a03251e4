"""All settings as a YAML file to start from: each with its default, what it means, and what it may be."""

from collections.abc import Mapping
from typing import Any

import yaml

from tfrec.config import Settings

Schema = Mapping[str, Any]
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def reference() -> str:
    """Returns the text; read as settings, it gives the defaults."""
    schema = Settings.model_json_schema()
    lines: list[str] = []
    for name, field in schema["properties"].items():
        section = schema["$defs"].get(field.get("$ref", "").rpartition("/")[2])
        if section is None:
            lines.append(_described("", name, field))
        else:
            lines += ["", f"{name}:  # {section['description'].splitlines()[0]}"]
            lines += [_described("  ", key, of) for key, of in section["properties"].items()]
    return "\n".join(lines) + "\n"


def _described(indent: str, key: str, field: Schema) -> str:
    """A setting's line, with its comment."""
    value = yaml.safe_dump(field["default"], default_flow_style=True).splitlines()[0]
    comment = "; ".join(part for part in (field.get("description", ""), _allowed(field)) if part)
    return f"{indent}{key}: {value}" + (f"  # {comment}" if comment else "")


def _allowed(field: Schema) -> str:
    """The values that a setting may have, in words; nothing where its default says it."""
    kinds = [field, *field.get("anyOf", ()), field.get("items", {})]
    bounds = [f"{sign} {kind[name]:g}" for kind in kinds for name, sign in BOUNDS.items() if name in kind]
    choices = [" | ".join(map(str, kind["enum"])) for kind in kinds if "enum" in kind]
    return ", ".join([*choices, *bounds])
