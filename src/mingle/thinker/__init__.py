"""The mixture-of-experts language model: config, positions, routers, model."""
