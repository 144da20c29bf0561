"""Liveness, readiness and metrics. Spec: docs/spec/backbone.md, section 7."""
