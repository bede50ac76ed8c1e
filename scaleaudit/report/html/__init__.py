"""The report as one HTML file that needs neither network nor script."""
