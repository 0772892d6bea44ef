"""The stages that made the report's inputs, read from the manifests beside them."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.common import layout
from scripts.common.errors import UserError


@dataclass(frozen=True)
class Stages:
    """Programs with the number of artifacts that each made, and which feeds which."""

    artifacts: Mapping[str, int]
    edges: frozenset[tuple[str, str]]

    def layers(self) -> list[list[str]]:
        """Return the programs by their longest path from a beginning, each layer by name."""
        depth: dict[str, int] = {}

        def measure(name: str) -> int:
            if name not in depth:
                feeding = [start for start, end in self.edges if end == name and start != name]
                depth[name] = 1 + max(map(measure, feeding), default=-1)
            return depth[name]

        layers: dict[int, list[str]] = defaultdict(list)
        for name in sorted(self.artifacts):
            layers[measure(name)].append(name)
        return [layers[level] for level in sorted(layers)]

    def direct_edges(self) -> list[tuple[str, str]]:
        """Return the edges that no longer path replaces (the transitive reduction)."""
        after = {name: {end for start, end in self.edges if start == name} for name in self.artifacts}

        def reaches(start: str, goal: str) -> bool:
            return goal in after[start] or any(
                reaches(step, goal) for step in after[start] if step != start
            )

        return sorted(
            (start, end)
            for start, end in self.edges
            if start != end
            and not any(reaches(step, end) for step in after[start] - {end, start})
        )


def read_stages(inputs: Iterable[Path]) -> Stages:
    """Walk the manifests from the content records ``inputs`` back to the sources.

    Raises UserError where a manifest is missing.
    """
    modules: dict[str, str] = {}
    edges: set[tuple[str, str]] = set()
    links: list[tuple[str, str]] = []
    pending = [path.as_posix() for path in inputs]
    while pending:
        path = pending.pop()
        if path in modules:
            continue
        manifest = _manifest(Path(path))
        modules[path] = _short(manifest["module"])
        links.extend((origin, path) for origin in manifest["inputs"])
        pending.extend(manifest["inputs"])
    edges.update((modules[origin], modules[path]) for origin, path in links)
    return Stages(dict(sorted(Counter(modules.values()).items())), frozenset(edges))


def _short(module: str) -> str:
    """Return ``scripts.train.phase`` as ``train.phase``."""
    return module.removeprefix("scripts.")


def _manifest(content: Path) -> Mapping[str, dict[str, str]]:
    path = content.with_name(layout.MANIFEST)
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): delete {content} and run Snakemake again"
        ) from None
