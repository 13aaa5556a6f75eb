"""Jobs by RQ: the worker is `rq worker jobs`."""

import records


def job(number, seconds):
    records.work('rq', number, seconds)
