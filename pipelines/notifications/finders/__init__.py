"""What is wrong just now, place by place.

Belongs here: a module for each place of a home, which looks there and tells what is wrong by keys that stay. Does not belong here: whether it was
told before (standing.py, outbox.py).
"""
