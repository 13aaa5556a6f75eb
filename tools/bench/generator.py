"""Times the generators of the article and of the app, alternating, with the host's Python; prints one JSON object.

Usage: generator.py ARTICLE APP ROUNDS     two Python files with a generate_random_string each
"""

import json
import sys
import timeit


def load(path):
    names = {"__name__": "app"}
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), names)
    return names["generate_random_string"]


article, app = load(sys.argv[1]), load(sys.argv[2])
answer = {"python": sys.version.split()[0], "sizes": []}
for length, strings in (10, 5), (30, 1000):
    times = {"article": [], "flaskrandom": []}
    for _ in range(int(sys.argv[3])):
        for name, generate in ("article", article), ("flaskrandom", app):
            # enough runs for some milliseconds, because of the clock's resolution
            number = max(1, (60000 if name == "article" else 600000) // (length * strings))
            seconds = timeit.timeit(lambda: generate(length, strings, True, True, True, True), number=number)  # noqa: B023
            times[name].append(seconds / number * 1e6)
    answer["sizes"].append({"length": length, "strings": strings, **times})
print(json.dumps(answer))
