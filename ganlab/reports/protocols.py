"""Numbers that compare: runs by the protocol of a number's measurement, and the name of each protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ganlab.config.derived import leaves
from ganlab.config.words import ORIGIN
from ganlab.reports.stored import StoredRun

REFERENCE = "reference"  # the field of a protocol with the hash of the real pictures
LONGEST = 24  # characters of a field's value in a title
Stamp = tuple[tuple[str, str], ...]


def by_protocol(runs: Sequence[StoredRun], name: str) -> dict[Stamp, list[StoredRun]]:
    """Return the runs that have a number, by the protocol of its measurement.

    Held-out pictures that follow the run's seed are one protocol: their hashes differ from seed to seed. The model that
    a run started from is no part of a protocol.
    """
    found: dict[Stamp, list[StoredRun]] = {}
    having = [run for run in runs if run.last(name) is not None]
    families = _families(having, name)
    for run, family in zip(having, families, strict=True):
        plain = {place: str(value) for place, value in leaves(_conditions(run, name))}
        if REFERENCE in plain:
            plain[REFERENCE] = family
        found.setdefault(tuple(sorted(plain.items())), []).append(run)
    return found


def _conditions(run: StoredRun, name: str) -> dict[str, Any]:
    """Return the protocol of a number without what is no condition of its measurement."""
    return {field: value for field, value in run.protocol(name).items() if field != ORIGIN}


def _families(runs: Sequence[StoredRun], name: str) -> list[str]:
    """Return for each run the hash that stands for its real pictures.

    Two runs have the same ones if their hashes agree, or if their data differ in nothing but the seed.
    """
    hashes = [str(run.protocol(name).get(REFERENCE, "")) for run in runs]
    for i, run in enumerate(runs):
        for j in range(i):
            if _same_data(run, runs[j]) and run.seed != runs[j].seed:
                hashes = [hashes[j] if one == hashes[i] else one for one in hashes]
    return hashes


def _same_data(a: StoredRun, b: StoredRun) -> bool:
    first, second = ({**(run.recipe.get("data") or {}), "seed": None} for run in (a, b))
    return first == second


def differing_fields(stamps: Sequence[Stamp]) -> list[str]:
    """Return the fields in which protocols differ."""
    plain = [dict(stamp) for stamp in stamps]
    names = dict.fromkeys(name for stamp in plain for name in stamp)
    return [name for name in names if len({stamp.get(name) for stamp in plain}) > 1]


def titled(name: str, stamps: Sequence[Stamp]) -> Iterator[str]:
    """Yield the title of a number by each protocol: its short name, and the fields that differ.

    >>> list(titled("quality/fid", [(("fakes", "100"),), (("fakes", "5000"),)]))
    ['fid (fakes 100)', 'fid (fakes 5000)']
    """
    fields = differing_fields(stamps)
    for stamp in stamps:
        said = ", ".join(f"{field} {_brief(dict(stamp).get(field, 'unknown'))}" for field in fields)
        yield f"{name.removeprefix('quality/')}{f' ({said})' if said else ''}"


def _brief(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:8]}…"
