"""Measures kernels and whole models: instructions under emulation, estimated Cortex-M cycles, time on the host."""
