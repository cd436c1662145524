"""The plans of computations over rows that institutions bring, by the kind of their definition."""

from concordat.audit_plan import AuditPlan
from concordat.canonical import Json
from concordat.definition import Kind
from concordat.schema import FeatureSchema
from concordat.training_plan import TrainingPlan

CohortPlan = AuditPlan | TrainingPlan


def read_plan(kind: Kind, document: Json) -> CohortPlan | None:
    """The plan of a definition of this kind; None of one to explain, which has a design of perturbations. Raises
    Refused as the plans' own `from_json`."""
    if kind == "explain":
        return None
    return AuditPlan.from_json(document) if kind == "audit" else TrainingPlan.from_json(document)


def check_plan(kind: Kind, document: Json, schema: FeatureSchema) -> CohortPlan | None:
    """The same, held against the schema. Raises Refused as the plans' own `check` besides."""
    plan = read_plan(kind, document)
    if plan is not None:
        plan.check(schema)
    return plan


def opened_counts(plan: CohortPlan) -> int:
    """How many numbers come out in the open: an audit's counts; of a training none."""
    return plan.cells if isinstance(plan, AuditPlan) else 0
