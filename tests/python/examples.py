"""How many examples the property tests try: more of them with `--hypothesis-profile=soak`."""

from hypothesis import HealthCheck, Phase, settings

USUAL = 100


def examples(count: int, *, shrinks: bool = True) -> settings:
    """So many in the usual profile; in others as many times as they ask for more than USUAL.

    Args:
        shrinks: False where one example takes so long that a search for a smaller one takes for ever.
    """
    return settings(
        max_examples=max(count * settings.default.max_examples // USUAL, 1),
        phases=[each for each in Phase if shrinks or each is not Phase.shrink],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
