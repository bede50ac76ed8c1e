"""The calibration of the probe: its protocol on models of which the truth is known."""
