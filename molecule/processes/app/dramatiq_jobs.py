"""Jobs by Dramatiq: the worker is `dramatiq dramatiq_jobs`."""

import dramatiq
import records
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(host='127.0.0.1'))


@dramatiq.actor(max_retries=0)
def job(number, seconds):
    records.work('dramatiq', number, seconds)
