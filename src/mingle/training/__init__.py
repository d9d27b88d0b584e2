"""The same model code with gradients on."""
