"""The gateway: documents come in over HTTP and go to news.raw, and the sender is told what became of each.

POST /v1/articles   one document, an array of them, or NDJSON; answered when Kafka has acknowledged
GET /v1/openapi.json, /healthz, /readyz, /metrics
"""
