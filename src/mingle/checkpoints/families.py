"""The families Mingle knows, by the name of the model."""

from mingle.checkpoints import flash_omni_2, flash_omni_preview, nano
from mingle.checkpoints.family import Family

FAMILIES: dict[str, Family] = {
    nano.FAMILY.name: nano.FAMILY,
    flash_omni_2.FAMILY.name: flash_omni_2.FAMILY,
    flash_omni_preview.FAMILY.name: flash_omni_preview.FAMILY,
}
