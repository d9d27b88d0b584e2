"""Official files <-> our modules: families, mapping, load, save, hub."""
