"""Raw review files to clean, labelled reviews; and reviews made from a grammar where there are none."""
