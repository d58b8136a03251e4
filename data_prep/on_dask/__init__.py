"""A log larger than memory: read in pieces, exchanged by users, and worked on in parts, by Dask.

Every part holds all events of some users, and goes through the same functions as a log in memory does.
Parts wait in files beside the dataset, so that memory is flat in the size of the log, and a task that is run
again (a worker was lost) finds what it needs: on a cluster all workers must see the files of the log and the
folder of the dataset.
"""

from data_prep.on_dask.reading import reading

__all__ = ["reading"]
