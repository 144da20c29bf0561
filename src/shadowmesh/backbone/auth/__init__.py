"""Log-in: challenges, tokens and proofs of possession. Spec: docs/spec/backbone.md, sections 2 and 3."""
