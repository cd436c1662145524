"""The verbs of computation. Each is one transaction, and the log entry is a required part of it.

Whatever sends something sends it after the transaction has committed; what was lost on the way, `sweep` sends again.
"""
