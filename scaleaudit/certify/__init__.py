"""Certification: what the analysis claims, held against numbers on the captured program."""
