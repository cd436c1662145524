"""The demonstration: the main job on real patients, told stage by stage, with every process as in production."""
