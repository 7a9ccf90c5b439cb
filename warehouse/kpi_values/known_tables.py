"""The showcase tables that the computation itself knows, whatever definitions read. Does not belong here: anything else."""

TARGETS = "fct_kpi_target"  # item 11: whether the bounds of a value lie on both sides of one
REGISTER = "dim_information_system"  # items 12 and 13: which systems exist, and since when they are integrated
