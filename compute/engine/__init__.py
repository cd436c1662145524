"""A prediction and its LIME explanation, on a record and a model that no single party sees.

Each job runs in processes of its own, one for each compute party and one for the dealer of correlated randomness, on
CrypTen 0.4.1 (Knott et al., NeurIPS 2021): additive shares in Z/2^64, Beaver triples from a trusted third party.

**Threat model, exactly.** Parties and dealer are *semi-honest*: they follow the protocol and keep what they see. Then
all parties but one, together, learn nothing of record, model, prediction or explanation. The dealer sees the shapes of
the randomness it hands out and nothing else, but *the dealer together with any one party sees everything*: run it at a
body that is no compute party. A party that deviates can change the result unnoticed.

Two limits of this version:

- Masks and shares of zero come from torch's MT19937 generators, which are **not cryptographically secure**: 312 outputs
  predict the rest. They hide values from a party that does not attack the generator.
- The transport is gloo **in plaintext, on loopback only**. Every other address is refused. Any process of the same
  machine that can read its loopback traffic could reconstruct the masks, so all parties trust the machine's
  administrator; a mesh between machines needs another transport.

Nothing is opened here: each party ends with a share of the result, which only the requester can add up.
"""
