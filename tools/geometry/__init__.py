"""How the outlines and places of warehouse/charts/geometry were made; not part of the package."""
