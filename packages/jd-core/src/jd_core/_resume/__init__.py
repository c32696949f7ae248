"""The file of ``resume=``: the results of a run, saved as they arrive, so that a killed run continues where it stopped."""
