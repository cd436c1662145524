"""The verbs. Each is one transaction, and its entry in the log is a required part of it."""
