"""Encoded reviews in chunks of Parquet: written by Spark, read by ranks, each row exactly once an epoch."""
