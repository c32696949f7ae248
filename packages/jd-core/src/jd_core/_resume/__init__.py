"""The file of ``resume=``: the results of a run, kept as they come, so that a killed run goes on where it stopped."""
