"""The words of an alarm: what was lost, how certain that is, and what helps. Plain Python."""

from __future__ import annotations

from collections.abc import Sequence

from ganlab.collapse.history import TestStatistic

MISSING_MODES = "regularizer=[r1,r2], pack=2, minibatch_deviation=4, lower rates, more turns for the discriminator"
SHRUNKEN_MODES = "regularizer=[r1,r2], minibatch_deviation=4, lower rates, a shorter run"
COPIES = "perturbation=[adaptive] or [diffaugment], minibatch_deviation=4, more pictures, a larger latent_dim"
IGNORED_LATENT = "a larger latent_dim, a smaller condition.dim or match_weight, head=projection, minibatch_deviation=4"
ADVICE = {
    "bins": MISSING_MODES,
    "dropped": MISSING_MODES,
    "dropped_labels": MISSING_MODES,
    "recall": MISSING_MODES,
    "covered": COPIES,
    "vendi": SHRUNKEN_MODES,
    "spread": SHRUNKEN_MODES,
    "duplicates": COPIES,
    "within_conditions": IGNORED_LATENT,
    "worst_condition": IGNORED_LATENT,
    "lacking": MISSING_MODES,
    "nan": "lower rates, trainer.precision=32-true, discriminator.clip=1 generator.clip=1, regularizer=[r1]",
}
"""Advice, by the kind of the alarm."""


def percent(share: float) -> str:
    """Return a share as a percentage with two significant digits.

    >>> percent(0.304), percent(0.004), percent(0.0)
    ('30 %', '0.4 %', '0 %')
    """
    number = 100 * share
    return f"{number:.0f} %" if number >= 9.95 or number == 0 else f"{number:.2g} %"


def rarity(p_value: float) -> str:
    """Say how many healthy runs reach a statistic with this p-value.

    >>> rarity(0.004), rarity(1e-9)
    ('1 healthy run in 250 gets there', 'fewer than 1 healthy run in 1,000,000 gets there')
    """
    if p_value < 1e-6:
        return "fewer than 1 healthy run in 1,000,000 gets there"
    runs = float(f"{1 / p_value:.2g}")
    return f"1 healthy run in {runs:,.0f} gets there"


def describe_loss(what: str, found: TestStatistic) -> str:
    """Say what was lost, on which generator, since when, from which level to which, and how rare that is."""
    generator, _, name = found.series.partition("/")
    return (
        f"since {found.since:,} images seen the {generator} generator has lost {what} ({name}: "
        f"{percent(found.before)} missing at its best, {percent(found.after)} now; {rarity(found.p_value)})"
    )


def describe_missing(
    bins: Sequence[tuple[float, float]], total: int, labels: Sequence[str] = (), conditions: Sequence[str] = ()
) -> str:
    """Say which parts of the data are missing.

    bins: the share of the data and the share of the samples of each missing bin, of `total` bins.
    labels: those with nearly no samples. conditions: those that have lost their variety.

    >>> describe_missing([(0.1, 0.0)], 20, ["heart", "face"])
    '1 of 20 parts of the data, 10 % of it, have 0 % of the samples; next to no samples of heart, face'
    """
    parts = []
    if bins:
        expected, found = (sum(column) for column in zip(*bins, strict=True))
        parts.append(
            f"{len(bins)} of {total} parts of the data, {percent(expected)} of it, have {percent(found)} of the samples"
        )
    if labels:
        parts.append(f"next to no samples of {_first_few(labels)}")
    if conditions:
        parts.append(f"little variety left for {_first_few(conditions)}")
    return "; ".join(parts)


def _first_few(names: Sequence[str]) -> str:
    """Return the first four names.

    >>> _first_few(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d and 2 more'
    """
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
