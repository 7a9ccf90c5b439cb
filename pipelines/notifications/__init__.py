"""What is wrong in a home is told to people, by webhook and by mail.

Belongs here: what to find, what was told, how it is worded and sent; Dagster-free but for the sensor. Does not belong here: what makes something
wrong (the packages below find that), the command (cli/notifying.py).
"""
