"""The errors a user can meet. Each message says what was found, what was expected, what to do."""


class MingleError(Exception):
    """Base of every error that is the caller's or the machine's, never a fault of our own."""

    exit_code = 2


class ConfigError(MingleError, ValueError):
    """A configuration file or option is unknown, missing or contradictory."""


class CheckpointError(MingleError, ValueError):
    """A checkpoint file is missing, truncated, of another shape, or not what its hash promises."""


class InputError(MingleError, ValueError):
    """What the user sent cannot be used: broken media, a prompt that is too long, a bad value."""


class CapacityError(MingleError, RuntimeError):
    """The machine cannot do it: memory, disk, network, or an extra that is not installed."""

    exit_code = 3


class BusyError(CapacityError):
    """Everything is taken at this moment; the same request may succeed a little later."""


class TrainingError(MingleError, ArithmeticError):
    """A training run cannot go on: the loss is no longer a number, or too many records are bad."""


def missing_extra(extra: str, package: str) -> CapacityError:
    """Say which optional package is missing and the one command that installs it."""
    return CapacityError(
        f"this needs the package '{package}', which is not installed; "
        f"run: pip install 'mingle-omni[{extra}]'"
    )
