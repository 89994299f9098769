"""The server: the pipeline behind HTTP and WebSocket.

A turn that is served is a turn that is measured: the same `voicebench.pipeline.pipeline`, run by
worker threads, with an `Emit` that hands each event over to the event loop. What differs between
the routes is only how an event is written down.

========================  ====================================================================
`served`                  what is behind the server: engines of this process, or a script
`channel`                 events from a turn's threads into the event loop
`turns`                   who is let in, who waits, who is refused; what came out and when
`answering`               one HTTP answer from one turn, and what happens if its client leaves
`rendering`               an event as bytes: PCM, WAV, server-sent events, JSON
`chat` `speech` `plain`   the HTTP routes
`voice`                   whole turns over a WebSocket
`gate`                    size, key, host, origin, Server-Timing: what holds for every request
`connections` `protocols` how many connections there are, and what a client may hold up
`running`                 binding, signals, draining
========================  ====================================================================

Nothing of it is imported unless something is served.
"""
