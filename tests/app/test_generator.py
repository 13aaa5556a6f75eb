"""generate_random_string: every character equally likely, and faster by far than the article's loop."""

import importlib.util
import itertools
import math
import os
import random
import string
import timeit
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest
from app import generate_random_string

CLASSES = (string.digits, string.ascii_lowercase, string.ascii_uppercase, "!@#$")
CHOICES = [flags for flags in itertools.product((False, True), repeat=4) if any(flags)]


def alphabet(flags):
    return "".join(chars for chars, flag in zip(CLASSES, flags) if flag)


def assert_uniform(counts, cells):
    """Pearson's chi-square test of counts (Counter) over so many equally likely cells (int).

    The bound is Laurent and Massart's for a chi-square variable: it is exceeded with a probability below 1e-12.
    """
    expected = sum(counts.values()) / cells
    assert expected > 50
    seen = sum((count - expected) ** 2 for count in counts.values()) / expected
    chi_square = seen + (cells - len(counts)) * expected
    degrees, t = cells - 1, math.log(1e12)
    assert chi_square < degrees + 2 * math.sqrt(degrees * t) + 2 * t


@pytest.mark.parametrize("flags", CHOICES)
def test_characters_are_equally_likely(flags):
    text = "".join("".join(generate_random_string(30, 1000, *flags)) for _ in range(10))
    chars = alphabet(flags)
    assert set(text) <= set(chars)
    assert_uniform(Counter(text), len(chars))


@pytest.mark.parametrize("flags", CHOICES)
def test_neighbours_are_independent(flags):
    text = "".join("".join(generate_random_string(30, 1000, *flags)) for _ in range(15))
    assert_uniform(Counter(zip(text[::2], text[1::2])), len(alphabet(flags)) ** 2)


@pytest.mark.parametrize("place", (0, 1, 15, 28, 29))
def test_every_position_has_the_same_distribution(place):
    strings = itertools.chain.from_iterable(generate_random_string(30, 1000, True, True, True, True) for _ in range(10))
    assert_uniform(Counter(text[place] for text in strings), 66)


def test_the_statistical_test_detects_a_bias():
    # what a plain remainder of a byte would give
    with pytest.raises(AssertionError):
        assert_uniform(Counter(random.SystemRandom().randrange(256) % 66 for _ in range(300000)), 66)


def test_the_random_source_cannot_be_seeded():
    runs = []
    for _ in range(2):
        random.seed(1)
        runs.append(generate_random_string(30, 10, True, True, True, True))
    assert runs[0] != runs[1]
    assert len(set(runs[0] + runs[1])) == 20


def test_forked_processes_share_no_bytes():
    generate_random_string(1, 1, True, True, True, True)  # now there is something read ahead
    readers = []
    for _ in range(3):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.write(writer, generate_random_string(30, 1, True, True, True, True)[0].encode())
            os._exit(0)
        os.close(writer)
        readers.append(reader)
    strings = generate_random_string(30, 1, True, True, True, True)
    for reader in readers:
        strings.append(os.read(reader, 100).decode())
        os.close(reader)
        os.wait()
    assert [len(text) for text in strings] == [30] * 4
    assert len(set(strings)) == 4


@pytest.mark.parametrize("length, num_strings", ((1, 1), (1, 1000), (30, 1), (30, 1000), (7, 13), (5, 0)))
@pytest.mark.parametrize("flags", CHOICES)
def test_number_and_length_are_as_requested(flags, length, num_strings):
    strings = generate_random_string(length, num_strings, *flags)
    assert len(strings) == num_strings
    assert all(len(text) == length for text in strings)


def article(length, num_strings):
    """The article's own loop, with all classes of characters."""
    return load_article().generate_random_string(length, num_strings, True, True, True, True)


@lru_cache(maxsize=None)
def load_article():
    path = Path(__file__).resolve().parents[2] / "tools/bench/article.py"
    spec = importlib.util.spec_from_file_location("article", str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# about a half of what `make bench` shows, the rest is room for a busy machine
@pytest.mark.parametrize("length, num_strings, times", ((30, 1000, 12), (10, 5, 5)))
def test_the_generator_is_faster_than_the_articles(length, num_strings, times):
    number = 30000 // (length * num_strings)
    theirs = min(timeit.repeat(lambda: article(length, num_strings), number=number, repeat=7))
    flags = CHOICES[-1]
    ours = min(timeit.repeat(lambda: generate_random_string(length, num_strings, *flags), number=number, repeat=30))
    print(f"{length} x {num_strings}: {theirs / ours:.1f} times as fast")
    assert theirs / ours > times
