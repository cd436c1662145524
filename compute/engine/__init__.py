"""A prediction and its LIME explanation, on a record and a model that no single party sees.

Each job runs in processes of its own, one for each compute party and one for the dealer of correlated randomness, on
additive shares in Z/2^64. `protocol` is how a protocol is written, `correlations` and `dealing` what the dealer hands
out, `arithmetic`, `circuits` and `comparison` the primitives, `models` and `lime` what is computed with them; `wires`
and `certificates` the mesh between the engines, `session` one engine's part in one job, `process` and `runner` its two
ends, `warming` what it does before there is a job.

**Threat model, exactly.** Parties and dealer are *semi-honest*: they follow the protocol and keep what they see. Then
all parties but one, together, learn nothing of record, model, prediction or explanation. The dealer sees the shapes of
the randomness it hands out and nothing else, but *the dealer together with any one party sees everything*: run it at a
body that is no compute party. What one that deviates changes is noticed as often as the job's canaries say, with none
never (`concordat.canaries`); `replay` finds out who it was.

Whoever watches the network sees mutually authenticated TLS 1.3, and sizes. Every mask comes from AES in counter mode
under keys of the job. Nothing but a check of the record's ranges is opened here: each party ends with a share of the
result, which only the requester can add up.
"""
