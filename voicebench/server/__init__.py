"""The server: the pipeline behind HTTP and WebSocket.

A served turn is a measured turn: it runs the same `voicebench.pipeline.pipeline` in worker threads,
with an `Emit` that passes each event to the event loop. The routes differ only in how they write an
event down. `served` is what answers, `admission` lets turns in, `app` lists the routes,
`request_gate` and `connections` keep clients within bounds, `running` starts and stops it all.
"""
