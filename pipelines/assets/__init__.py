"""One module for each stage of the data's way: zero, showcase, kpi, release."""
