"""How good a classifier is: logits and labels in, measures and figures out."""
