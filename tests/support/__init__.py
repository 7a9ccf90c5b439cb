"""What tests share. A test module imports from here and from no other test module.

`settlements` names places; `rows` puts rows straight through the loading door and computes KPIs; `files` delivers files through
the archive and the gates (`Desk`, `Bench`); `homes` starts an installation from the template; `runs` is a whole run below
Dagster; `released` is a published home for those who falsify; `crashes` and `processes` are other processes. The rest is named
after what is tested: `golden`, `assessments`, `official_list`, `history_model`, `packs`.

Does not belong here: what one test module alone uses.
"""
