"""The bedside process: shows results where decisions are made, run by the hospital itself beside its client home.

Only the requester sees plaintext, so only the requester can show it: as a card in the electronic health record (CDS
Hooks 2.0) and as a page for the clinician. Results are computed and opened ahead of time by the worker
(`concordat.bedside.worker`); what answers an EHR or a browser (`concordat.bedside.app`) reads a local store, and
neither holds a private key nor waits for the coordinator.
"""
