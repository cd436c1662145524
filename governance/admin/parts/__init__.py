"""What the parts of the study's page show, one module a part: they read and compose, and decide nothing."""
