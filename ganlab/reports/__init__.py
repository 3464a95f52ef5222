"""Runs on paper: tables over seeds, curves with bands, and a page for each run. Reads files only, without torch."""
