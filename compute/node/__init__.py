"""An institution's own worker. It decides for itself, by its pins, its policy file and signatures alone.

No Django here, and nothing of the coordinator's but its signed tickets: the broker carries those and identifiers only.
"""
