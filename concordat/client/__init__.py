"""The institution's side: a library and the `concordat` command for hospital systems, investigators and reviewers.

Everything that must stay secret (records, weights, results, keys) is handled here and leaves this machine sealed.
"""
