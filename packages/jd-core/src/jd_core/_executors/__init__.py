"""``job=executor``: chunks of calls as tasks of any executor, as of `concurrent.futures`, loky, Dask or mpi4py."""
