"""Raw review files to clean, labeled reviews, and a generator of synthetic reviews."""
