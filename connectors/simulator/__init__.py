"""Seeded extracts of imaginary cities, made from the contracts: for demonstrations, tests and benchmarks.

Belongs here: what a local executive body would hand over, as files (`generate`), the numbers in it (`recipe` and
`recipes/<table>.yaml`) and how it is written, mistakes included (`layout`). A table with a contract and no recipe is
simulated from its contract alone.

Does not belong here: anything that reads, judges or loads a file. The simulator never touches the warehouse: what it writes has to
come in by the same door as every other delivery. No number in it describes a real city; `population.csv` holds rounded
orders of magnitude of the residents and only decides how many rows a file has.
"""
