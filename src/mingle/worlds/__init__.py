"""Procedural worlds: endless, seeded training data with held-out splits by construction."""
