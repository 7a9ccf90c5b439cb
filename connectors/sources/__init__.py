"""Systems that extracts are fetched from: where they are, how they are asked, and what of them has been seen.

Belongs here: connections and their settings, one module for each kind of system, what is fetched until it is a receipt. Does not belong
here: what a file means (readers/, mapping/), whether what was declared can be right (receiving/), when it is fetched (pipelines/).
"""
