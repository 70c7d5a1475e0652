"""Where Spark and torch meet: ranks as the tasks of a barrier stage."""
