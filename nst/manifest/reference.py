"""The reference of manifests as Markdown (docs/manifest.md), generated from the models."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from nst.config import METHOD_CONFIGS
from nst.config.training import TRAINING_CONFIGS
from nst.manifest.blocks import Budget, ContentSpec, ManifestBlock, MixImage, Output, StyleSpec
from nst.manifest.explain import blocks
from nst.manifest.markdown import Section, link, page, table
from nst.manifest.methods import paths
from nst.manifest.settings import settings_of, settings_of_block, summary, summary_of
from nst.manifest.training import TrainBlock, TrainStyle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import BaseModel

    from nst.manifest.settings import Setting

_CONFIGS: Final[dict[str, type[BaseModel]]] = {**METHOD_CONFIGS, **TRAINING_CONFIGS}
_OF_METHODS: Final = "settings of several methods"
_OF_FAMILIES: Final = "settings of several families"

_INTRODUCTION: Final = """
Every key of the two kinds of manifest, with its type, its default and its meaning. `nst schema` and
`nst schema --training` print JSON Schemas of them for editors. This page is generated from the code:
`nst schema --reference` prints it.

`nst plan` and `nst run` take changes behind the manifest, each a dotted path and a value in YAML:
`nst run evening.yaml method.size=512 sweep.style_weight='[30, 100]'`. They are laid over the manifest as a manifest is
laid over the one that it `extends`: blocks are merged, everything else is replaced, and `null` drops what the manifest
says. Behind `sweep.` comes the name of an axis with all its dots. Of two changes of one key the last one counts. The
manifest that is kept below the root says what was run, changes included.
"""
_ABOUT_SWEEPS: Final = """
A sweep says which pictures to make: every content with every style, at every point of the axes.

```yaml
name: evening
contents: photographs/*.jpg
styles: [wave.jpg, {uri: starry_night.jpg, name: night}]
method: {name: gatys, size: 256}
sweep: {style_weight: [30, 300]}
```
"""
_ABOUT_AXES: Final = """
With several `methods` an axis multiplies those that have its setting, and the other methods stand once; an axis that
no method has is refused. Of zipped axes a method takes those that it has. A method may be listed several times with
different settings. A rule of `exclude` may also name a `method`: `exclude: [{method: mrf, size: 512}]`. A point that
lacks something that a rule names (an axis, a content, a style) is not left out by that rule. Cells that come out equal
are computed once.
"""
_ABOUT_METHODS: Final = f"""
`method` names one of these, either alone (`method: mrf`) or as a block with the settings that differ from their
defaults (`method: {{name: mrf, size: 512}}`). What several methods have in the same meaning is described once, under
{link(_OF_METHODS)}.
"""
_ABOUT_BLOCKS: Final = """
A block is written as a mapping, and one with a `name` also as the bare name: `optimizer: adam`. Axes reach into it by
dotted paths: `sweep: {optimizer.history: [20, 50]}`. The section of a method or a family shows the block that it takes
where the manifest has none.
"""
_ABOUT_TRAININGS: Final = """
A training says which networks to train: one for each style and each point of the axes; or, with the families
`conditional` and `adain`, one for all styles.

```yaml
kind: train
name: starry
photographs: photographs/
styles: starry_night.jpg
training: {family: johnson, steps: 20000}
```
"""
_ABOUT_FAMILIES: Final = f"""
`training` names the family of the networks, with the settings that differ from their defaults. Weights of losses are in
relative units, as in {link("gatys")}. What several families have in the same meaning is described once, under
{link(_OF_FAMILIES)}.
"""
_ABOUT_SHARED: Final = "The default stands in the section of each method or family."

_SWEEP: Final = (
    ("`style_weight: [10, 100]`", "an axis: a setting of the method by its dotted path, and its values"),
    ("`optimizer: [lbfgs, {name: adam, learning_rate: 0.05}]`", "whole blocks as values"),
    ("`content_weight: {from: 1, to: 100, num: 5, scale: log}`", "a range with both ends, `linear` (default) or `log`"),
    ("`seed: {count: 4}` or `{count: 4, first: 10}`", "whole numbers from `first` (default 0)"),
    (
        "`zip: [{style_weight: [1, 10], tv_weight: [0, 1]}]`",
        "axes that advance together; all other axes are multiplied out",
    ),
    (
        "`exclude: [{style_weight: 10, seed: [2, 3]}, {content: night, style: wave*}]`",
        "leaves out the points that match everything a rule names: axes, names or patterns of contents and styles",
    ),
)
_KINDS: Final = {
    "contents": link("contents", "text or list"),
    "styles": link("styles", "text or list"),
    "images": link("images", "list"),
    "method": link("Methods", "name or block"),
    "methods": link("Methods", "list of names and blocks"),
    "sweep": link("sweep", "block"),
}
"""Types of the keys that take more forms than their annotations say."""
_TRAINING_KINDS: Final = {
    "photographs": "text or list",
    "styles": link("styles of a training", "text or list"),
    "training": link("Families", "name or block"),
    "sweep": link("sweep", "block"),
}


def manifest_reference() -> str:
    """Return docs/manifest.md: every key with its type, default and meaning, each described once."""
    owners = _owners()
    shared = {described: names for described, names in owners.items() if len(names) > 1}
    return page(
        "The manifest",
        _INTRODUCTION,
        (
            Section("Sweeps", (_ABOUT_SWEEPS, _table(settings_of(ManifestBlock, _KINDS))), tuple(_parts_of_sweeps())),
            Section(
                "Methods",
                (_ABOUT_METHODS,),
                (*(_configuration(name, owners) for name in METHOD_CONFIGS), _shared(_OF_METHODS, shared)),
            ),
            Section("Blocks", (_ABOUT_BLOCKS,), tuple(_blocks())),
            Section(
                "Trainings",
                (_ABOUT_TRAININGS, _table(settings_of(TrainBlock, _TRAINING_KINDS))),
                (Section("styles of a training", (_table(settings_of(TrainStyle)),)),),
            ),
            Section(
                "Families",
                (_ABOUT_FAMILIES,),
                (*(_configuration(name, owners) for name in TRAINING_CONFIGS), _shared(_OF_FAMILIES, shared)),
            ),
        ),
    )


def sections_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the titles of the sections that describe the settings of methods or families, by their dotted paths."""
    owners = _owners()
    found: dict[str, dict[str, None]] = defaultdict(dict)  # the inner dictionary is an ordered set
    for name in names:
        for setting in settings_of(_CONFIGS[name]):
            section = _place(owners[setting.described])
            inner = [path for path in paths(_CONFIGS[name]) if path.startswith(f"{setting.key}.")]
            for path in inner:
                found[path][setting.key] = None
            if setting.kind != link(setting.key, "block"):  # a block has no column for the whole of it
                found[setting.key][section] = None
    return {path: list(sections) for path, sections in found.items()}


def _owners() -> dict[tuple[str, str, str], list[str]]:
    """Return the names of the methods and families that have a setting, by its `described`."""
    owners = defaultdict(list)
    for name, config in _CONFIGS.items():
        for setting in settings_of(config):
            owners[setting.described].append(name)
    return dict(owners)


def _place(owners: list[str]) -> str:
    """Return the title of the section that describes a setting of these methods or families."""
    if len(owners) == 1:
        return owners[0]
    return _OF_METHODS if owners[0] in METHOD_CONFIGS else _OF_FAMILIES


def _parts_of_sweeps() -> Iterator[Section]:
    for title, model in (
        ("contents", ContentSpec),
        ("styles", StyleSpec),
        ("images", MixImage),
        ("budget", Budget),
        ("output", Output),
    ):
        yield Section(title, (summary(model), _table(settings_of(model, _KINDS))))
    yield Section("sweep", (table(("form", "meaning"), _SWEEP), _ABOUT_AXES))


def _configuration(name: str, owners: Mapping[tuple[str, str, str], list[str]]) -> Section:
    """Return the section of a method or a family: its own settings, and the defaults of those described elsewhere."""
    own, elsewhere = [], defaultdict(list)
    for setting in settings_of(_CONFIGS[name]):
        if setting.kind == f"`{name}`":
            continue  # the name, which is the heading
        if (place := _place(owners[setting.described])) == name:
            own.append(setting)
        else:
            elsewhere[place].append(f"`{setting.key}` ({setting.default or '`null`'})")
    also = [f"And the {link(place)}: {', '.join(settings)}." for place, settings in elsewhere.items()]
    return Section(name, (summary(_CONFIGS[name]), _table(own), *also))


def _shared(title: str, settings: Mapping[tuple[str, str, str], list[str]]) -> Section:
    rows = [
        (f"`{key}`", kind, meaning, ", ".join(map(link, names)))
        for (key, kind, meaning), names in settings.items()
        if _place(names) == title
    ]
    return Section(title, (_ABOUT_SHARED, table(("key", "type", "meaning", "of"), rows)))


def _blocks() -> Iterator[Section]:
    """Yield a section per block; what several forms of a block have in common is described with the first."""
    forms: dict[str, dict[tuple[type[BaseModel], ...], list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, config in _CONFIGS.items():
        for key, info in config.model_fields.items():
            if members := tuple(blocks(info.annotation)):
                forms[key][members].append(name)
    for key, users in forms.items():
        described: set[Setting] = set()
        body: list[str] = []
        for members, names in users.items():
            about = summary_of(members)
            settings = [setting for setting in settings_of_block(key, members) if setting not in described]
            body += [f"For {', '.join(map(link, names))}: {about}" if body else about, _table(settings)]
            described.update(settings)
        yield Section(key, tuple(body))


def _table(settings: Iterable[Setting]) -> str:
    rows = ((f"`{setting.key}`", setting.kind, setting.default, setting.meaning) for setting in settings)
    return table(("key", "type", "default", "meaning"), rows)
