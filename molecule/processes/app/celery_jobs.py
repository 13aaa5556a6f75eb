"""Jobs by Celery: the worker and the scheduler are `celery -A celery_jobs worker` and `celery -A celery_jobs beat`."""

import os
import time

import records
from celery import Celery
from celery.signals import before_task_publish

celery = Celery('shop', broker='redis://127.0.0.1:6379/0')
celery.conf.beat_schedule = {'tick': {'task': 'celery_jobs.tick', 'schedule': 1.0}}
# a worker takes no more jobs than it works on
celery.conf.worker_prefetch_multiplier = 1


@celery.task
def job(number, seconds):
    records.work('celery', number, seconds)


@celery.task
def tick():
    pass


@before_task_publish.connect
def note_tick(sender, **more):
    if sender == 'celery_jobs.tick':
        records.write('ticks', time.time(), os.getpid())
