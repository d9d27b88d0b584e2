"""The device that weights go to, tried out before anything is loaded."""

import torch

from mingle.errors import CapacityError, ConfigError


def usable_device(name: str) -> torch.device:
    """The device of this name. torch knows many that a machine lacks.

    Raises ConfigError for a name that torch does not know, CapacityError for a device that is not
    here.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r} is none that torch knows; try cpu or cuda") from error
    try:
        torch.empty(1, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        told = str(error).splitlines()[0]
        raise CapacityError(f"there is no device {name!r} here ({told}); try cpu") from error
    return device
