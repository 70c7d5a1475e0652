"""The net as Spark ML knows classifiers: an Estimator that trains it and a Model that predicts with it."""
