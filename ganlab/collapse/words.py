"""What an alarm says, and what people do about it. Plain Python."""

from __future__ import annotations

from collections.abc import Sequence

from ganlab.collapse.course import Evidence

MISSING_MODES = "regularizer=[r1,r2], pack=2, minibatch_deviation=4, lower rates, more turns for the discriminator"
SHRUNKEN = "regularizer=[r1,r2], minibatch_deviation=4, lower rates, a shorter run"
COPIES = "perturbation=[adaptive] or [diffaugment], minibatch_deviation=4, more pictures, a larger latent_dim"
DEAF = "a smaller match_weight, head=projection, a larger latent_dim, minibatch_deviation=4"
ADVICE = {
    "bins": MISSING_MODES,
    "dropped": MISSING_MODES,
    "dropped_labels": MISSING_MODES,
    "recall": MISSING_MODES,
    "covered": COPIES,
    "vendi": SHRUNKEN,
    "spread": SHRUNKEN,
    "duplicates": COPIES,
    "within_conditions": DEAF,
    "worst_condition": DEAF,
    "lacking": MISSING_MODES,
    "nan": "lower rates, trainer.precision=32-true, discriminator.clip=1 generator.clip=1, regularizer=[r1]",
}
"""What helps, by the indicator that gave the alarm."""


def percent(share: float) -> str:
    """A share to a person.

    >>> percent(0.304), percent(0.004), percent(0.0)
    ('30 %', '0.4 %', '0 %')
    """
    number = 100 * share
    return f"{number:.0f} %" if number >= 9.95 or number == 0 else f"{number:.2g} %"


def odds(chance: float) -> str:
    """How rare that is among runs in which nothing is wrong.

    >>> odds(0.004), odds(1e-9)
    ('1 healthy run in 250 gets there', 'fewer than 1 healthy run in 1,000,000 gets there')
    """
    if chance < 1e-6:
        return "fewer than 1 healthy run in 1,000,000 gets there"
    runs = float(f"{1 / chance:.2g}")
    return f"1 healthy run in {runs:,.0f} gets there"


def lost(what: str, evidence: Evidence) -> str:
    """What fell, on which generator, from where to where, since when, how sure."""
    generator, _, name = evidence.series.partition("/")
    return (
        f"since {evidence.since:,} images seen the {generator} generator has lost {what} ({name}: "
        f"{percent(evidence.before)} missing at its best, {percent(evidence.after)} now; {odds(evidence.chance)})"
    )


def gone(
    bins: Sequence[tuple[float, float]], total: int, labels: Sequence[str] = (), conditions: Sequence[str] = ()
) -> str:
    """Say which parts are missing: (share of the data, share of the samples) of each of `total` bins that is, labels
    that are all but never drawn, and conditions that have lost their variety.

    >>> gone([(0.1, 0.0)], 20, ["heart", "face"])
    '1 of 20 parts of the data, 10 % of it, have 0 % of the samples; next to no samples of heart, face'
    """
    parts = []
    if bins:
        expected, found = (sum(column) for column in zip(*bins, strict=True))
        parts.append(
            f"{len(bins)} of {total} parts of the data, {percent(expected)} of it, have {percent(found)} of the samples"
        )
    if labels:
        parts.append(f"next to no samples of {_some(labels)}")
    if conditions:
        parts.append(f"little variety left for {_some(conditions)}")
    return "; ".join(parts)


def _some(names: Sequence[str]) -> str:
    """The first four.

    >>> _some(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d and 2 more'
    """
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
