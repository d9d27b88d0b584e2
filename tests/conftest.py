"""Switch on shape checking for every test, before anything of Mingle is imported."""

from jaxtyping import install_import_hook

install_import_hook("mingle", "beartype.beartype")
