"""The compute backend of just-distribute: worker processes, each with a connection of its own, shared by all runs.

`jd_compute.backend` is public; everything else is private, and may change with any version. One run, from above::

    backend    checks options
    run        sends chunks to workers and takes their results
    pool       starts workers, shares them among runs, ends them
    worker     what runs in a worker, and in the process that starts workers
    codec      serializes functions, arguments and results
    transport  messages, and large buffers in shared memory
"""
