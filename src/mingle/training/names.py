"""Choosing parameters and modules by globs on their names."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from mingle.errors import ConfigError


def matching(names: Sequence[str], patterns: Sequence[str], where: str) -> list[str]:
    """The names that the globs choose; `!glob` takes names away, the last match decides.

    Raises ConfigError for a glob that matches nothing.
    """
    chosen: dict[str, bool] = {}
    for pattern in patterns:
        wanted = not pattern.startswith("!")
        hits = [name for name in names if fnmatchcase(name, pattern.removeprefix("!"))]
        if not hits:
            raise ConfigError(
                f"{where}: '{pattern}' matches none of {len(names)} names such as "
                f"{', '.join(names[:3])}; globs are matched against whole names"
            )
        chosen.update(dict.fromkeys(hits, wanted))
    return [name for name in names if chosen.get(name)]


def modules_matching(model: nn.Module, patterns: Sequence[str], where: str) -> dict[str, nn.Module]:
    """The outermost modules that the globs choose: `layers.*` is each layer, nothing inside."""
    modules = dict(model.named_modules())
    chosen: dict[str, nn.Module] = {}
    for name in matching([name for name in modules if name], patterns, where):  # parents first
        if not any(name.startswith(f"{outer}.") for outer in chosen):
            chosen[name] = modules[name]
    return chosen
