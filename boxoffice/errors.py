"""The errors a person can mend. Anything else is a bug and may show its traceback."""


class BoxofficeError(Exception):
    """Trouble with a known remedy: what is wrong, and what to do about it, each a plain sentence."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem} {remedy}".strip())
        self.problem = problem
        self.remedy = remedy


class ConfigurationError(BoxofficeError):
    """Nothing was done: a setting is missing or wrong. Ends a command with exit code 2."""


class LockedError(BoxofficeError):
    """Nothing was done: another run holds the lock. Ends a command with exit code 2."""
