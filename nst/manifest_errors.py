"""Faults of a manifest in the user's words: found, expected, and what was probably meant."""

from __future__ import annotations

import copy
import difflib
import json
import re
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from nst.errors import ManifestError, Problem
from nst.yaml_scalars import old_yaml_hint, shorten

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from pydantic_core import ErrorDetails

    from nst.positions import Path, Where

Model = TypeVar("Model", bound=BaseModel)

MAX_PROBLEMS: Final = 100
_ROUNDS: Final = 4
_FEW: Final = 14
"""So many possible keys are listed in a hint; more are left to the reference."""
_LAYERS: Final = [
    *(
        f"{kind}{block}_{i}"
        for kind in ("relu", "conv")
        for block, n in enumerate((2, 2, 4, 4, 4), 1)
        for i in range(1, n + 1)
    ),
    *(f"pool{block}" for block in range(1, 6)),
]
_EXPECTED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "a mapping"),
    "string_type": "text",
    "finite_number": "a finite number",
}
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a value: its path below that value, what is wrong, a hint, and whether the key is at fault."""

    path: Path
    message: str
    hint: str = ""
    key: bool = False


class Reporter:
    """Collects the problems of one manifest; the same problem twice counts once."""

    def __init__(self, where: Where, problems: Collection[Problem] = ()) -> None:
        self.where = where
        self.problems: dict[tuple[str, int, int, str], Problem] = {}
        for problem in problems:
            self._keep(problem)
        # The value there is a guess, so that whatever else is found about it would only confuse.
        self._told = {(problem.file, problem.line, problem.column) for problem in problems}

    @property
    def full(self) -> bool:
        """Whether so many problems are known that more would not help."""
        return len(self.problems) >= MAX_PROBLEMS

    def add(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> None:
        """Record a problem of the value (or key) at `path`."""
        problem = self.where.problem(path, message, hint, key=key)
        if (problem.file, problem.line, problem.column) not in self._told:
            self._keep(problem)

    def raise_any(self) -> None:
        """Raise all problems as one ManifestError, if there are any."""
        if self.problems:
            raise ManifestError(tuple(self.problems.values()))

    def _keep(self, problem: Problem) -> None:
        if not self.full:
            self.problems.setdefault((problem.file, problem.line, problem.column, problem.message), problem)


def describe(value: Any) -> str:
    """Return a value as a message names it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        return shorten(json.dumps(value, ensure_ascii=False).replace('"', "'"))
    return number(value)


def number(value: float) -> str:
    """Return a number as a person writes it."""
    return str(value) if isinstance(value, int) else f"{value:.12g}"


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the nearest candidate, or ""."""
    options = list(candidates)
    close = difflib.get_close_matches(word[:80], options, n=1, cutoff=0.6 if len(word) > 3 else 0.5)
    close = close or [option for option in options if option.lower() == word.lower()]
    return f"did you mean {close[0]!r}?" if close else ""


def check_loose(raw: Any, checked: Any, path: Path = ()) -> Iterator[Fault]:
    """Yield a fault for values that pydantic converted more generously than YAML readers expect.

    Text never counts as a number or a truth value, true is not 1, and 0 is not false.
    """
    if isinstance(raw, dict):
        for key, value in raw.items():
            inner = checked.get(key) if isinstance(checked, dict) else getattr(checked, key, None)
            yield from check_loose(value, inner, (*path, key))
    elif isinstance(raw, list):
        if isinstance(checked, list | tuple):
            for index, (value, inner) in enumerate(zip(raw, checked, strict=False)):
                yield from check_loose(value, inner, (*path, index))
    elif isinstance(checked, bool | int | float) and (
        isinstance(raw, str) or isinstance(raw, bool) != isinstance(checked, bool)
    ):
        kinds = {bool: "true or false", int: "a whole number", float: "a number"}
        yield Fault(path, *_found(raw, kinds[type(checked)]))


def check(model: type[Model], raw: Any, stand_ins: Mapping[str, Any] | None = None) -> tuple[Model | None, list[Fault]]:
    """Return the validated model and every fault of `raw`, those included that pydantic alone would forgive.

    Faulty parts are taken out and the rest is validated again, so that one fault does not hide another; `stand_ins`
    fill required keys then. The model is None if there is any fault.
    """
    faults: list[Fault] = []
    pruned = raw
    for _ in range(_ROUNDS):
        try:
            checked = model.model_validate(pruned)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            found = [_explain(details, *locate(tuple(details["loc"]), pruned), model) for details in errors]
            missing = [details["type"] == "missing" for details in errors]
            faults += [fault for fault, miss in zip(found, missing, strict=True) if not (miss and pruned is not raw)]
            pruned = _without(pruned, [fault.path for fault, miss in zip(found, missing, strict=True) if not miss])
            if isinstance(pruned, dict):
                pruned = {**(stand_ins or {}), **pruned}
        else:
            faults += check_loose(pruned, checked)
            return (None if faults else checked), faults
    return None, faults


def _without(raw: Any, paths: list[Path]) -> Any:
    """Return `raw` with mapping keys at `paths` taken out; what is in a list goes with the whole list's key."""
    pruned = copy.deepcopy(raw)
    for path in paths:
        end = next((i for i, part in enumerate(path) if isinstance(part, int)), len(path))
        block = pruned
        for part in path[: end - 1]:
            block = block.get(part, {}) if isinstance(block, dict) else {}
        if isinstance(block, dict) and end:
            block.pop(path[end - 1], None)
    return pruned


def locate(loc: tuple[str | int, ...], raw: Any) -> tuple[Path, Any]:
    """Return the path in the document that a pydantic location means, and the value there; union tags are skipped."""
    path: Path = ()
    value = raw
    for part in loc:
        if isinstance(value, dict) and part in value:
            path, value = (*path, part), value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            path, value = (*path, part), value[part]
        elif isinstance(value, list) and part in value:  # a list of layers that became a mapping
            path, value = (*path, value.index(part)), part
    return path, value


def _explain(details: ErrorDetails, path: Path, value: Any, model: type[BaseModel]) -> Fault:
    kind, context = details["type"], details.get("ctx", {})
    loc = tuple(details["loc"])
    at_key = bool(loc) and loc[-1] == "[key]"
    if kind == "extra_forbidden":
        key = str(loc[-1])
        known = {name for block in _models(model, loc[:-1]) for name in block.model_fields}
        return Fault(path, f"unknown key {shorten(key)!r}", keys_hint(key, known), key=True)
    if kind == "missing":
        return Fault(path, f"the key {str(loc[-1])!r} is missing", key=bool(path))
    if kind in {"literal_error", "union_tag_invalid"}:
        if isinstance(value, dict):
            path, value = (*path, "name"), value.get("name")
        options = re.findall(r"'([^']*)'", str(context.get("expected") or context.get("expected_tags")))
        hint = did_you_mean(value, options) if isinstance(value, str) else ""
        return Fault(path, f"found {describe(value)}, expected {one_of(options)}", hint)
    if kind == "string_pattern_mismatch":
        return Fault(path, *_pattern(str(loc[-2] if at_key else value), str(context["pattern"])), key=at_key)
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        if isinstance(value, str | bool):
            return Fault(path, *_found(value, "a number"))
        return Fault(path, f"found {describe(value)}, expected {words} {number(context[bound])}")
    if kind in {"too_short", "string_too_short"}:
        items = "character" if kind == "string_too_short" else "item"
        found = "an empty text" if value == "" else describe(value)
        return Fault(path, f"found {found}, expected at least {context['min_length']} {items}")
    if kind in {"too_long", "string_too_long"}:
        items = "characters" if kind == "string_too_long" else "items"
        return Fault(path, f"found {len(value)} {items}, expected at most {context['max_length']}")
    if kind in _EXPECTED:
        expected = _EXPECTED[kind]
        if expected == "a mapping" and any(
            {"name", "uri"} & block.model_fields.keys() for block in _models(model, loc)
        ):
            expected = "text or a mapping"
        return Fault(path, *_found(value, expected))
    return Fault(path, str(details["msg"]).removeprefix("Value error, "))


def _found(value: Any, expected: str) -> tuple[str, str]:
    text = "the text " if isinstance(value, str) and expected != "text" else ""
    hint = old_yaml_hint(value, expected) if isinstance(value, str) else ""
    return f"found {text}{describe(value)}, expected {expected}", hint


def _pattern(text: str, pattern: str) -> tuple[str, str]:
    if re.search(pattern, "relu4_2") and not re.search(pattern, "sweep"):
        return f"found {describe(text)}, expected a layer such as relu4_2 or pool3", did_you_mean(text, _LAYERS)
    simple = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:100]
    hint = f"write {simple}" if simple and re.search(pattern, simple) else ""
    return f"found {describe(text)}, expected a name of letters, digits, '.', '_' and '-'", hint


def one_of(options: Iterable[str]) -> str:
    """Return the options as "a", "a or b", "one of a, b, c"."""
    names = list(options)
    return " or ".join(names) if len(names) < 3 else "one of " + ", ".join(names)


def keys_hint(key: str, keys: Iterable[str]) -> str:
    """Return which key was meant, or which there are."""
    names = sorted(keys)
    meant = did_you_mean(key, names)
    if meant or not names:
        return meant
    return f"the keys here are {', '.join(names)}" if len(names) <= _FEW else "`nst schema --reference` lists the keys"


def _models(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """Return the models that may stand at `loc` below `model`; union tags in `loc` choose the member."""
    models = [model]
    for part in loc:
        inner = [
            block for m in models if part in m.model_fields for block in blocks(m.model_fields[str(part)].annotation)
        ]
        if any(part in m.model_fields for m in models):
            models = inner
        elif isinstance(part, str):
            models = [
                m for m in models if "name" in m.model_fields and m.model_fields["name"].default == part
            ] or models
    return models


def blocks(annotation: Any) -> list[type[BaseModel]]:
    """Return the pydantic models inside a type annotation, e.g. the members of a union or the items of a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [block for inner in typing.get_args(annotation) for block in blocks(inner)]
