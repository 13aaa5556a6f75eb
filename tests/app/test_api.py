"""The API's contract: the article's requests, and those that its code answered with a 500 or with nonsense."""

import itertools
import json
import string

import pytest

URL = "/getrandomstr"
FIELDS = ("intlen", "intnum", "withnum", "withlow", "withup", "withspecial")
CLASSES = dict(zip(FIELDS[2:], (string.digits, string.ascii_lowercase, string.ascii_uppercase, "!@#$")))
GOOD = dict(zip(FIELDS, (10, 5, True, True, True, True)))
REFUSED = {"data": [], "datalen": 0, "msg": "fail"}
MISSING = object()


def changed(**changes):
    return {name: value for name, value in dict(GOOD, **changes).items() if value is not MISSING}


def post(client, body, content_type="application/json", **more):
    """Send body (bytes as they are, anything else as JSON)."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(URL, data=data, content_type=content_type, **more)


def assert_strings(response, intlen, intnum, chars):
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    answer = response.get_json()
    assert sorted(answer) == ["data", "datalen", "msg"]
    assert answer["msg"] == "success"
    assert answer["datalen"] == len(answer["data"]) == intnum
    assert {len(text) for text in answer["data"]} == {intlen}
    assert set("".join(answer["data"])) <= set(chars)


def assert_error(response, status, field):
    assert response.status_code == status
    assert response.mimetype == "application/json"
    answer = response.get_json()
    error = answer.pop("error")
    assert answer == REFUSED
    assert field in error
    assert len(error) < 80


def test_the_index_page_greets(client):
    response = client.get("/")
    assert response.status_code == 200
    assert response.mimetype == "text/html"
    assert response.data == b"<h1>Hello World! From Flask!</h1>"


@pytest.mark.parametrize("flags", [flags for flags in itertools.product((False, True), repeat=4) if any(flags)])
def test_only_the_selected_classes_of_characters_appear(client, flags):
    chars = "".join(chars for chars, flag in zip(CLASSES.values(), flags) if flag)
    # 30,000 characters: that one of at most 66 is never among them has a probability of e-195
    response = post(client, dict(zip(FIELDS, (30, 1000, *flags))))
    assert_strings(response, 30, 1000, chars)
    assert set("".join(response.get_json()["data"])) == set(chars)


@pytest.mark.parametrize("intlen", (1, 2, 29, 30))
@pytest.mark.parametrize("intnum", (1, 2, 999, 1000))
def test_number_and_length_are_as_requested(client, intlen, intnum):
    assert_strings(post(client, changed(intlen=intlen, intnum=intnum)), intlen, intnum, "".join(CLASSES.values()))


def test_missing_flags_are_false(client):
    assert_strings(post(client, {"intlen": 8, "intnum": 20, "withlow": True}), 8, 20, string.ascii_lowercase)


FRIENDLY = {
    "more fields": json.dumps(changed(comment="äöü")).encode(),
    "spaces": b" \r\n\t" + json.dumps(GOOD, indent=8).encode() + b"\n",
    "the last of two": b'{"intlen":"x","intnum":5,"withlow":true,"intlen":10}',
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
    "16 KiB": json.dumps(GOOD).encode().ljust(16 * 1024),
}


@pytest.mark.parametrize("body", FRIENDLY.values(), ids=FRIENDLY)
def test_accepted_bodies(client, body):
    assert_strings(post(client, body), 10, 5, "".join(CLASSES.values()))


@pytest.mark.parametrize("content_type", ("application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json"))
def test_json_content_types_are_accepted(client, content_type):
    assert post(client, GOOD, content_type).status_code == 200


@pytest.mark.parametrize("content_type", (None, "", "text/plain", "application/x-www-form-urlencoded", "json", ";="))
def test_other_content_types_are_refused(client, content_type):
    assert_error(post(client, GOOD, content_type), 415, "Content-Type")


@pytest.mark.parametrize(
    "changes",
    (
        {"intlen": 31},
        {"intnum": 1001},
        {"intlen": 31, "intnum": 1001},
        {"intlen": 10**400},
        {"intnum": 10**4000},
        # the limits come before zero, negative and no class
        {"intlen": 31, "intnum": 0},
        {"intlen": -1, "intnum": 1001},
        {"intlen": 31, "withnum": False, "withlow": False, "withup": False, "withspecial": False},
    ),
)
def test_values_above_the_limits_fail(client, changes):
    response = post(client, changed(**changes))
    assert response.status_code == 200
    assert response.get_json() == REFUSED


def test_numbers_of_thousands_of_digits_fail(client):
    body = b'{"intlen": %s, "intnum": 5, "withnum": true}' % (b"9" * 12000)
    response = post(client, body)
    assert response.status_code == 200
    assert response.get_json() == REFUSED


NO_NUMBERS = (MISSING, None, "", "10", "ten", True, False, 10.0, 0.5, 1e999, float("nan"), [], [10], {}, {"a": 1})
NO_FLAGS = (None, 0, 1, "", "true", "on", 1.0, float("nan"), [], [True], {})


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize("name", FIELDS[:2])
def test_values_that_are_not_integers_are_refused(client, name, value):
    assert_error(post(client, changed(**{name: value})), 400, name)


@pytest.mark.parametrize("value", NO_FLAGS, ids=repr)
@pytest.mark.parametrize("name", FIELDS[2:])
def test_values_that_are_not_booleans_are_refused(client, name, value):
    assert_error(post(client, changed(**{name: value})), 400, name)


@pytest.mark.parametrize("value", (0, -1, -(10**30)))
@pytest.mark.parametrize("name", FIELDS[:2])
def test_zero_and_negative_numbers_are_refused(client, name, value):
    assert_error(post(client, changed(**{name: value})), 400, name)


@pytest.mark.parametrize("flags", ({}, dict.fromkeys(CLASSES, False), {"withnum": False}))
def test_requests_without_a_class_are_refused(client, flags):
    response = post(client, dict(flags, intlen=10, intnum=5))
    for name in CLASSES:
        assert_error(response, 400, name)


@pytest.mark.parametrize(
    "changes, name",
    (
        # the types come before the limits, the limits before the rest
        ({"intlen": 31, "intnum": "5"}, "intnum"),
        ({"intlen": 31, "withup": None}, "withup"),
        ({"intlen": 31.0}, "intlen"),
        ({"intlen": 0, "withspecial": 1}, "withspecial"),
        ({"intlen": 10, "intnum": 0, "withnum": 0}, "withnum"),
    ),
)
def test_the_first_invalid_field_is_reported(client, changes, name):
    assert_error(post(client, changed(**changes)), 400, name)


NO_OBJECT = {
    "empty": b"",
    "blank": b" \n",
    "text": b"intlen=10&intnum=5",
    "cut off": json.dumps(GOOD).encode()[:-1],
    "two": b"{}{}",
    "single quotes": b"{'intlen': 10}",
    "trailing comma": b'{"intlen": 10,}',
    "comment": b'{"intlen": 10} // ten',
    "string": b'"intlen"',
    "number": b"10",
    "null": b"null",
    "true": b"true",
    "NaN": b"NaN",
    "array": b"[]",
    "array of objects": json.dumps([GOOD]).encode(),
    "bad UTF-8": b'{"intlen": "\xff\xfe"}',
    "truncated UTF-8": b'{"\xe4\xb8": 1}',
    "latin-1": '{"ü": 1}'.encode("latin-1"),
    "NUL": b"\x00" * 64,
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00",
    "deep arrays": b"[" * 16000,
    "deep objects": b'{"a":' * 3200,
    "deep and closed": b"[" * 8000 + b"]" * 8000,
}


@pytest.mark.parametrize("body", NO_OBJECT.values(), ids=NO_OBJECT)
def test_bodies_that_are_not_json_objects_are_refused(client, body):
    assert_error(post(client, body), 400, "body")


@pytest.mark.parametrize("depth", (10, 100, 900, 8000))
def test_deeply_nested_values_are_refused(client, depth):
    # how deep the parser goes differs between Pythons: "body: must be JSON" or "intlen: must be an integer"
    assert_error(post(client, b'{"intlen":' + b"[" * depth + b"]" * depth + b"}"), 400, ": must be ")


@pytest.mark.parametrize("field", ("__class__", "\ud800", "\x00", "intlen\x00", "intLen", "{{7*7}}"))
def test_similar_field_names_do_not_count(client, field):
    body = changed(intlen=MISSING)
    body[field] = 10
    assert_error(post(client, body), 400, "intlen")


@pytest.mark.parametrize("size", (16 * 1024 + 1, 1024**2, 8 * 1024**2))
@pytest.mark.parametrize("method, path", (("POST", URL), ("PUT", URL), ("GET", "/"), ("POST", "/nowhere")))
def test_large_bodies_are_refused(client, method, path, size):
    body = json.dumps(GOOD).encode().ljust(size)
    assert_error(client.open(path, method=method, data=body, content_type="application/json"), 413, "body")


@pytest.mark.parametrize(
    "method, path, allowed",
    [(method, URL, "POST") for method in ("GET", "PUT", "PATCH", "DELETE", "TRACE", "BREW")]
    + [(method, "/", "GET") for method in ("POST", "PUT", "PATCH", "DELETE")],
)
def test_wrong_methods_are_refused(client, method, path, allowed):
    response = client.open(path, method=method)
    assert_error(response, 405, "Method")
    assert allowed in response.headers["Allow"].split(", ")


def test_head_and_options_are_answered(client):
    assert client.head("/").status_code == 200
    assert client.head(URL).status_code == 405
    response = client.options(URL)
    assert response.status_code == 200
    assert "POST" in response.headers["Allow"]


PATHS = ("/nowhere", URL + "/", URL + "/1", URL.upper(), "/index.php", "/../app.py", "/.flaskenv", "/%00", "/%ff", "/ü")


@pytest.mark.parametrize("path", (*PATHS, "/" + 9000 * "a"), ids=lambda path: path[:20])
@pytest.mark.parametrize("method", ("GET", "POST", "DELETE"))
def test_unknown_paths_are_not_found(client, method, path):
    assert_error(client.open(path, method=method), 404, "Not Found")


@pytest.mark.parametrize("path", ("/static/app.py", "/static/../app.py", "/static/%2e%2e/app.py"))
def test_no_files_are_served(client, path):
    assert_error(client.get(path), 404, "Not Found")


@pytest.mark.parametrize("length", ("abc", "-1", "", "0"))
def test_invalid_content_lengths_are_refused(client, length):
    assert_error(post(client, GOOD, environ_overrides={"CONTENT_LENGTH": length}), 400, "body")


def test_bodies_shorter_than_their_content_length_are_refused(client):
    assert_error(post(client, GOOD, environ_overrides={"CONTENT_LENGTH": "4000"}), 400, "body")


def test_query_string_is_ignored(client):
    response = client.post(URL + "?intlen=99&intnum=%ff&&==", json=GOOD)
    assert_strings(response, 10, 5, "".join(CLASSES.values()))
