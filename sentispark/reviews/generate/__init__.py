"""Synthetic reviews from a grammar, for demos and tests without a download."""

from sentispark.reviews.generate.reviews import generate_reviews, write_reviews

__all__ = ["generate_reviews", "write_reviews"]
