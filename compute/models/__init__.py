"""The tables, one module a family. They hold invariants only; what may happen is in `services`."""

from compute.models.alarm import Alarm, CanarySheet, Finding, Testimony
from compute.models.batch import Batch
from compute.models.job import Job, SealedInput
from compute.models.model_version import ModelVersion, SealedModelShare
from compute.models.notice import ErasureNotice
from compute.models.package import RecordsPackage
from compute.models.reservation import Answer
from compute.models.result import Display, PartyResult
from compute.models.suspension import AccountingSuspension

__all__ = [
    "AccountingSuspension",
    "Alarm",
    "Answer",
    "Batch",
    "CanarySheet",
    "Display",
    "ErasureNotice",
    "Finding",
    "Job",
    "ModelVersion",
    "PartyResult",
    "RecordsPackage",
    "SealedInput",
    "SealedModelShare",
    "Testimony",
]
