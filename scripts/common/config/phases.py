"""The phases as a graph: each trains on from its parent, or is the mean of others."""

from collections.abc import Iterator, Mapping

from scripts.common.config.train import Architecture, Merge, Phase

Phases = Mapping[str, Phase | Merge]


def trained_origins(phases: Phases, name: str) -> list[str]:
    """Return the phases that ``name`` goes on from and that were trained, by name.

    For a merge on the way these are the ones that it merges, and so on.
    """
    found: set[str] = set()
    for origin in phases[name].origins:
        if isinstance(phases[origin], Merge):
            found.update(trained_origins(phases, origin))
        else:
            found.add(origin)
    return sorted(found)


def phase_problems(phases: Phases, model: Architecture) -> Iterator[str]:
    """Yield what is wrong between phases, each by key and with its remedy."""
    broken = [*_unknown_origins(phases), *_cycles(phases)]
    yield from broken
    if not broken:  # what follows walks the graph
        yield from _missing_moments(phases)
        yield from _unlike_ropes(phases, model)


def _unknown_origins(phases: Phases) -> Iterator[str]:
    for name, phase in phases.items():
        for origin in phase.origins:
            if origin not in phases:
                hint = "" if isinstance(phase, Merge) else ", or null to start from `model`"
                yield (
                    f"phases.{name}.{_key(phase)}: no phase is called {origin!r}; "
                    f"known are {sorted(phases)}{hint}"
                )


def _cycles(phases: Phases) -> Iterator[str]:
    for name, phase in phases.items():
        if cycle := _cycle_from(phases, name):
            way = " -> ".join(cycle)
            yield f"phases.{name}.{_key(phase)}: a cycle, {way}; one must start anew"


def _cycle_from(phases: Phases, name: str) -> list[str] | None:
    """Return a way from a phase by its origins back to itself, or None if there is none."""
    ways, seen = [[name]], {name}
    while ways:
        way = ways.pop()
        for origin in phases[way[-1]].origins:
            if origin == name:
                return [*way, origin]
            if origin in phases and origin not in seen:
                seen.add(origin)
                ways.append([*way, origin])
    return None


def _key(phase: Phase | Merge) -> str:
    return "merge" if isinstance(phase, Merge) else "parent"


def _missing_moments(phases: Phases) -> Iterator[str]:
    for name, phase in phases.items():
        if isinstance(phase, Phase) and phase.inherit.optimizer:
            for origin in phase.origins:
                if isinstance(phases[origin], Merge):
                    yield (
                        f"phases.{name}.inherit.optimizer: {origin!r} is a merge, which has no "
                        "moments to inherit: set it to false"
                    )


def _unlike_ropes(phases: Phases, model: Architecture) -> Iterator[str]:
    """Yield the merges of weights that were trained for different RoPE bases, where that shows."""
    for name, phase in phases.items():
        if isinstance(phase, Merge):
            bases = {one: _rope_base(phases, one, model) for one in phase.origins}
            told = {base for base in bases.values() if base is not None}
            if len(told) > 1:
                yield (
                    f"phases.{name}.merge: weights for different RoPE bases have no meaningful "
                    f"mean, and these are for {bases}: give all the same `rope`"
                )


def _rope_base(phases: Phases, name: str, model: Architecture) -> float | None:
    """Return the RoPE base of a phase's weights; None for a base checkpoint's own."""
    phase = phases[name]
    if isinstance(phase, Phase) and phase.rope is not None:
        return phase.rope.base
    if phase.origins:  # those of a merge are alike, or that is told of it
        return _rope_base(phases, phase.origins[0], model)
    return model.rope_base if model.path is None else None
