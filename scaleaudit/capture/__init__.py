"""Capture: run a target's forward and loss once and write down every operator.

Kept empty of imports on purpose: torch is loaded only by those who ask for ``capturing``.
"""
