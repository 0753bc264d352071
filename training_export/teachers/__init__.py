"""Large models that are asked what they would predict, and the cache that asks nobody twice."""
