"""All processes of a small consortium on one machine, each as it would run in production."""
