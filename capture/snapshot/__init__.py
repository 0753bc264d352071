"""The moment of one prediction as a value: its parts, its JSON form, its schema, the repository it was in."""
