"""Fixes as changes of the user's own lines, where that can be done safely. Nothing is written."""
