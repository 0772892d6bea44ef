"""The stages that made the report's inputs, read from the manifests beside them."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from scripts.common import layout
from scripts.common.errors import UserError


@dataclass(frozen=True)
class Stages:
    """Programs with the number of artifacts that each made, and those that feed each."""

    artifacts: Mapping[str, int]
    feeding: Mapping[str, frozenset[str]]

    def layers(self) -> list[list[str]]:
        """Return the programs by their longest path from a beginning, each layer by name."""
        depth: dict[str, int] = {}
        for name in TopologicalSorter(self.feeding).static_order():
            depth[name] = 1 + max((depth[origin] for origin in self.feeding[name]), default=-1)
        layers: dict[int, list[str]] = defaultdict(list)
        for name in sorted(depth):
            layers[depth[name]].append(name)
        return [layers[level] for level in sorted(layers)]

    def direct_edges(self) -> list[tuple[str, str]]:
        """Return the edges that no longer path replaces (the transitive reduction)."""
        before: dict[str, frozenset[str]] = {}  # all programs upstream of each
        for name in TopologicalSorter(self.feeding).static_order():
            before[name] = self.feeding[name].union(*(before[one] for one in self.feeding[name]))
        return sorted(
            (origin, name)
            for name, origins in self.feeding.items()
            for origin in origins
            if not any(origin in before[other] for other in origins)
        )


def read_stages(inputs: Iterable[Path]) -> Stages:
    """Walk the manifests from the content records ``inputs`` back to the sources.

    Of programs that feed one another, as phases do their merge, and a merge its child, only the
    edge from the one that ran first is kept, and none of a program to itself. Raises UserError
    where a manifest is missing.
    """
    manifests: dict[str, Mapping[str, Any]] = {}
    pending = [path.as_posix() for path in inputs]
    while pending:
        path = pending.pop()
        if path not in manifests:
            manifests[path] = _manifest(Path(path))
            pending.extend(_inputs(manifests[path]))
    program = {
        path: manifest["module"].removeprefix("scripts.") for path, manifest in manifests.items()
    }
    feeding: dict[str, set[str]] = {name: set() for name in sorted(program.values())}
    for path, manifest in manifests.items():
        feeding[program[path]].update(program[origin] for origin in _inputs(manifest))
    made = TopologicalSorter({path: _inputs(manifest) for path, manifest in manifests.items()})
    ran = list(dict.fromkeys(program[path] for path in made.static_order()))
    return Stages(dict(sorted(Counter(program.values()).items())), _without_cycles(feeding, ran))


def _without_cycles(
    feeding: Mapping[str, Collection[str]], ran: Sequence[str]
) -> dict[str, frozenset[str]]:
    """Leave out the edges within a cycle but for those from an earlier program in ``ran``."""
    first = {name: place for place, name in enumerate(ran)}
    return {
        name: frozenset(
            origin
            for origin in origins
            if first[origin] < first[name] or name not in _upstream(origin, feeding)
        )
        for name, origins in feeding.items()
    }


def _upstream(name: str, feeding: Mapping[str, Collection[str]]) -> set[str]:
    """Return a program and all that feed it, directly or through others."""
    found, pending = {name}, [name]
    while pending:
        new = [origin for origin in feeding[pending.pop()] if origin not in found]
        found.update(new)
        pending.extend(new)
    return found


def _inputs(manifest: Mapping[str, Any]) -> list[str]:
    return [*manifest["inputs"], *manifest.get("observing", {}).get("inputs", [])]


def _manifest(content: Path) -> Mapping[str, Any]:
    path = content.with_name(layout.MANIFEST)
    try:
        manifest: Mapping[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): delete {content} and run Snakemake again"
        ) from None
    return manifest
