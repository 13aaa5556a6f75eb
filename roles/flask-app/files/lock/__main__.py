"""Reads the job as JSON from standard input and prints the result as JSON; an error goes to standard error, with exit code 1.

See `job.Job` for the input and `lock.lock` for the output.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from lock.errors import LockError
from lock.job import Job
from lock.lock import lock

try:
    print(json.dumps(lock(Job(**json.load(sys.stdin)))))
except LockError as error:
    sys.exit(str(error))
