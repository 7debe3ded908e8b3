"""YAML of what is made of dictionaries, lists, texts and numbers."""

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def yaml_text(value: dict[str, Any]) -> str:
    """Give a document."""
    return "".join(f"{line}\n" for line in _mapping(value))


def _mapping(value: dict[str, Any]) -> list[str]:
    lines = []
    for key, inner in value.items():
        head = f"{_text(key)}:"
        match inner:
            case dict() if inner:
                lines += [head, *_deeper(_mapping(inner))]
            case list() if inner:
                lines += [head, *_deeper(_sequence(inner))]
            case str() if '"' in inner and inner.isprintable():
                lines += [f"{head} |-", f"  {inner}"]
            case _:
                lines.append(f"{head} {_text(inner)}")
    return lines


def _sequence(values: list[Any]) -> list[str]:
    lines = []
    for value in values:
        inner = _mapping(value) if isinstance(value, dict) else [_text(value)]
        lines += [f"- {inner[0]}", *_deeper(inner[1:])]
    return lines


def _deeper(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _text(value: Any) -> str:
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value)
    if is_plain and value.lower() not in _NOT_TEXT:
        return str(value)
    # JSON is YAML, but for characters that YAML wants escaped, such as U+0085.
    text = json.dumps(value, ensure_ascii=False)
    return "".join(it if it.isprintable() else f"\\U{ord(it):08x}" for it in text)
