"""Audit of a data set: confounds, features other than emotion that separate its classes."""

from emoact.stats.audit.auditing import audit_dataset
from emoact.stats.audit.outcome import AuditReport, Check, Test

__all__ = ["AuditReport", "Check", "Test", "audit_dataset"]
