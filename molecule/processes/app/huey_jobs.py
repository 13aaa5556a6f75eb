"""Jobs by Huey: the worker is `python -m huey.bin.huey_consumer huey_jobs.huey`."""

import records
from huey import RedisHuey

huey = RedisHuey('shop', host='127.0.0.1')


@huey.task()
def job(number, seconds):
    records.work('huey', number, seconds)
