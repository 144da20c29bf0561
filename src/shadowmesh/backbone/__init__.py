"""The backbone server: it lets peers log in, keeps their signed records, and brings them together.

A folder a feature: `auth` (challenge, log-in, tokens, proofs), `registry` (accepts records), `queries` (look-ups),
`updates` (live updates and calls), `directory` (the signed list of backbone nodes), `stun`, `health`, `stores`.
`http` holds what all routes share, `limits` what protects all of them. `services` composes the features, `app` gives
them their routes, `server` runs them.

Absent on purpose: nothing here carries a packet of user traffic, nothing reads the time or draws chance but through
the `Clock` and `Entropy` it is given, and no log line holds a token, a key or a record.
"""
