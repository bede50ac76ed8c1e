"""Runs functions that touch a user's code in fresh child processes, under limits."""
