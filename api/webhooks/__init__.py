"""Telling institutions' own systems what has happened that concerns them."""
