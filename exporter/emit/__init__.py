"""Kernel-ready graph -> the bytes of a .dqnn file."""
