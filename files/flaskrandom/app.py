"""Random strings over HTTP: the API of the article, on Python 3.6 and newer."""

import json
import os
import string
from functools import lru_cache

from flask import Flask, g, jsonify, request
from werkzeug.exceptions import HTTPException

MAX_BODY = 16 * 1024  # bytes; a request takes about 120
LIMITS = {"intlen": 30, "intnum": 1000}
CLASSES = {
    "withnum": string.digits,
    "withlow": string.ascii_lowercase,
    "withup": string.ascii_uppercase,
    "withspecial": "!@#$",
}

app = Flask(__name__)
# ten characters tell a number from every allowed one, and newer Pythons refuse to read thousands
decoder = json.JSONDecoder(parse_int=lambda digits: int(digits[:10]))


@app.before_request
def read_body():
    """Take every request's body off the wire, also where no route wants it, and keep no more of it than is allowed.

    gunicorn 21 closes a connection with an unread rest, and whoever still sends sees a reset instead of the answer.
    Flask's MAX_CONTENT_LENGTH is no help: older Flask applies it to forms only, and nothing reads the rest.
    """
    environ = request.environ
    if "CONTENT_LENGTH" not in environ and "HTTP_TRANSFER_ENCODING" not in environ:
        return
    try:
        stream = request.stream
        g.body = body = stream.read(MAX_BODY + 1)
        while stream.read(MAX_BODY):
            pass
    except Exception as error:  # a client's fault; gunicorn's classes for it differ from version to version
        app.logger.warning("%s %s: %r", request.method, request.path, error)
        return fail("body: cannot be read to its end", 400)
    if len(body) > MAX_BODY:
        return fail(f"body: must not exceed {MAX_BODY} bytes", 413)


@app.route("/")
def index():
    return "<h1>Hello World! From Flask!</h1>"


@app.route("/getrandomstr", methods=["POST"])
def getrandomstr():
    if not request.is_json:
        return fail("Content-Type: must be application/json", 415)
    try:
        body = g.get("body", b"")
        data_json = decoder.decode(body.decode(json.detect_encoding(body)))
    except (ValueError, RecursionError):
        return fail("body: must be JSON", 400)
    if not isinstance(data_json, dict):
        return fail("body: must be a JSON object", 400)

    for name in LIMITS:
        if type(data_json.get(name)) is not int:  # isinstance would let true and false pass
            return fail(f"{name}: must be an integer", 400)
    for name in CLASSES:
        if not isinstance(data_json.get(name, False), bool):
            return fail(f"{name}: must be true or false", 400)

    if any(data_json[name] > limit for name, limit in LIMITS.items()):
        return jsonify(data=[], datalen=0, msg="fail")

    for name in LIMITS:
        if data_json[name] < 1:
            return fail(f"{name}: must be at least 1", 400)
    classes = [data_json.get(name, False) for name in CLASSES]
    if not any(classes):
        return fail(f"{', '.join(CLASSES)}: at least one must be true", 400)

    strings = generate_random_string(data_json["intlen"], data_json["intnum"], *classes)
    # none of the characters needs escaping in JSON, and jsonify would add half of the time that the strings took
    body = '{"data":["' + '","'.join(strings) + f'"],"datalen":{len(strings)},"msg":"success"}}\n'
    return app.response_class(body, content_type="application/json")


def generate_random_string(length, num_strings, use_numbers, use_lower_case, use_upper_case, use_special_chars):
    """Return a list of random strings from the operating system's source, every character equally likely.

    length (int): characters a string, 1 or more
    num_strings (int): strings, 0 or more
    use_... (bool): the classes of characters; with none of them it raises ZeroDivisionError
    """
    table, surplus = byte_table(use_numbers, use_lower_case, use_upper_case, use_special_chars)
    total = length * num_strings
    text = ""
    while len(text) < total:
        # so much more than what is left of it on average that one round nearly always does
        text += random_source.read(total * 261 // (256 - len(surplus)) + 16).translate(table, surplus).decode()
    return [text[cut] for cut in cuts(length, num_strings)]


def open_random_source():
    """Read some way ahead, which spares small requests the system call that would take most of their time.

    No two processes may use the same bytes: a forked one starts afresh. Python 3.6 cannot see to that, and reads nothing ahead.
    """
    global random_source
    ahead = 4096 if hasattr(os, "register_at_fork") else 0
    random_source = open("/dev/urandom", "rb", buffering=ahead)  # noqa: SIM115  open as long as the process


open_random_source()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=open_random_source)


@lru_cache(maxsize=None)
def byte_table(*use_classes):
    """Return for bytes.translate (bytes, bytes): each byte's character, and the surplus bytes to delete.

    Bytes have 256 values, and only a multiple of the number of characters can be shared out evenly among them.
    """
    chars = "".join(chars for chars, use in zip(CLASSES.values(), use_classes) if use).encode()
    even = 256 - 256 % len(chars)
    return (chars * 256)[:256], bytes(range(even, 256))


@lru_cache(maxsize=16)
def cuts(length, num_strings):
    """Return the slices (list) that cut a text into so many strings of this length; making them takes as long as cutting."""
    return [slice(i, i + length) for i in range(0, length * num_strings, length)]


def fail(error, status):
    """Return the response for a bad request: error (str) names the field, status (int) is HTTP's."""
    response = jsonify(data=[], datalen=0, msg="fail", error=error)
    response.status_code = status
    return response


@app.errorhandler(HTTPException)
def http_error(error):
    """Return Flask's own errors (404, 405, ...) in the API's shape, with their headers, such as Allow."""
    response = error.get_response()
    response.data = fail(error.name, error.code).data
    response.mimetype = "application/json"
    return response
