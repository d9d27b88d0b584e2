"""Blocks that know nothing about Ming: layers, rope, attention, cache, experts, flow."""
