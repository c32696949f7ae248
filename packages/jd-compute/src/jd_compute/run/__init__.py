"""One run: chunks go to workers, results come back, deaths are handled."""
