"""The ledger's verbs. Each is one transaction, and the log entry is a required part of it."""
