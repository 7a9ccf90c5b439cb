"""Dagster and the command line, both thin.

Belongs here: assets, checks, jobs, the schedule and the sensor, the resource that knows the home folder, and `qala`.
Does not belong here: any rule about what is valid, how something is computed or what a number means. Everything
below this package runs and is tested without Dagster.
"""
