"""Numbers go out: the released file and its exports, their manifest, signatures, anchors.

Belongs here: what is made from the warehouse to be read without qala. Does not belong here: making a value
(kpi_values/), checking a release afterwards (audit/).
"""
