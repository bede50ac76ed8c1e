"""Renderers: each takes a Report and returns text; only the command line writes."""
