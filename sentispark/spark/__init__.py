"""What every Spark stage shares."""
