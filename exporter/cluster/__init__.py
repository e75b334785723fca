"""Work on samples by the workers of a Dask cluster."""
