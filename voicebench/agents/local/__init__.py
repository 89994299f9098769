"""The agent in this process: ears before the pipeline.

`local_agent` joins everything. `dialogue` decides: it takes frames, judgements, transcripts and the
events of replies one after another, and emits the events of the call. `turn_policy` has its rules.
`ear_work` and `spoken_reply` do the slow work in threads of their own.
"""
