"""Benchmarks, metrics, parity with stored reference outputs."""
