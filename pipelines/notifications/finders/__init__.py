"""What is wrong just now, place by place: each module looks at one place of a home and tells it by keys that stay.

Does not belong here: whether it was told before (outbox.py, standing.py).
"""
