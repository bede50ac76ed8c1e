"""What a team has accepted: by comments in its sources, and by a baseline of old findings."""
