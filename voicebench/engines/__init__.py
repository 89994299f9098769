"""Models that are computed in this process. The only place for torch and for C.

Measuring a server needs none of this.
"""
