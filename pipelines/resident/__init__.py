"""A process that has imported what runs need, and forks for each `qala run` that a person starts: the run begins at once.

Belongs here: the socket in the home, who may use it, and what must be equal for a run there to be the run it would have been in the caller's own
process. Does not belong here: what a run does (pipelines/run.py), the command `qala serve` (pipelines/cli/serve.py).
"""
