"""What else than emotion could tell the classes of a data set apart."""

from emoact.stats.audit.auditing import audit_dataset
from emoact.stats.audit.outcome import AuditReport, Check, Test

__all__ = ["AuditReport", "Check", "Test", "audit_dataset"]
