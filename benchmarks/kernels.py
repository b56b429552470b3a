# ruff: noqa: B018, B905 (plain Python as people write it)
"""The work that `execution.py` times: each function is pure Python that keeps one part of the interpreter busy.

This file is source for both sides; `take(name, scale)` runs a kernel and gives its seconds.
"""

import collections
import hashlib
import heapq
import json
import random
import re
import time


def calls(n):
    def fibonacci(k):
        return k if k < 2 else fibonacci(k - 1) + fibonacci(k - 2)

    for _ in range(n):
        fibonacci(16)


def floats(n):
    bodies = [[float(i), float(i * i % 7), float(i % 3), 0.0, 0.0, 0.0, 1.0 / (i + 1)] for i in range(5)]
    for _ in range(n):
        for one in bodies:
            for other in bodies:
                if one is not other:
                    dx, dy, dz = one[0] - other[0], one[1] - other[1], one[2] - other[2]
                    pull = 0.001 * other[6] / (dx * dx + dy * dy + dz * dz + 0.01) ** 1.5
                    one[3] -= dx * pull
                    one[4] -= dy * pull
                    one[5] -= dz * pull
        for body in bodies:
            body[0] += body[3] * 0.001
            body[1] += body[4] * 0.001
            body[2] += body[5] * 0.001


def integers(n):
    for _ in range(n):
        top = 20_000
        sieve = bytearray([1]) * top
        for i in range(2, int(top**0.5) + 1):
            if sieve[i]:
                for j in range(i * i, top, i):
                    sieve[j] = 0


def big_integers(n):
    a, b = 0, 1
    for _ in range(n):
        for _ in range(300):
            a, b = b, a + b
        pow(a | 1, 65537, b + 2)
        a, b = b % (1 << 2000), (a % (1 << 2000)) + 1


def dicts(n):
    words = [f"word{i * 7919 % 997}" for i in range(3000)]
    for _ in range(n):
        count = {}
        for word in words:
            count[word] = count.get(word, 0) + 1
        sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))


def strings(n):
    for _ in range(n):
        lines = [f"{i:05d},{i * i},{'x' * (i % 9)}" for i in range(800)]
        text = "\n".join(lines)
        [part.strip().upper() for line in text.splitlines() for part in line.split(",")]


def lists(n):
    size = 24
    left = [[i * j % 11 for j in range(size)] for i in range(size)]
    right = [[i + j for j in range(size)] for i in range(size)]
    for _ in range(n):
        columns = list(zip(*right))
        [[sum(a * b for a, b in zip(row, column)) for column in columns] for row in left]


class Account:
    def __init__(self, owner):
        self.owner = owner
        self.total = 0

    def pay(self, amount):
        self.total += amount
        return self

    @property
    def rich(self):
        return self.total > 1000


def objects(n):
    for _ in range(n):
        accounts = [Account(i) for i in range(100)]
        for i in range(2000):
            accounts[i % 100].pay(i).rich


def generators(n):
    def numbers():
        yield from range(3000)

    for _ in range(n):
        evens = (i for i in numbers() if i % 2 == 0)
        sum(i * i for i in evens)


def exceptions(n):
    for _ in range(n):
        for i in range(1000):
            try:
                if i % 2:
                    raise ValueError(i)
                int("x")
            except ValueError as error:
                error.args


def graphs(n):
    links = {i: [(i * 17 + k * 31) % 2000 for k in range(4)] for i in range(2000)}
    for _ in range(n):
        seen, waiting = {0}, collections.deque([0])
        while waiting:
            for other in links[waiting.popleft()]:
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        heap = []
        for i in range(1500):
            heapq.heappush(heap, i * 7919 % 1009)
        while heap:
            heapq.heappop(heap)


def library(n):
    rows = [{"id": i, "name": f"name {i}", "tags": ["a", "b"], "score": i / 7} for i in range(150)]
    pattern = re.compile(r"name (\d+)")
    for _ in range(n):
        text = json.dumps(rows)
        json.loads(text)
        pattern.findall(text)
        hashlib.sha256(text.encode()).hexdigest()


def chance(n):
    dice = random.Random(7)
    for _ in range(n):
        values = [dice.random() for _ in range(2000)]
        dice.shuffle(values)
        values.sort()


def arrays(n):
    import numpy

    values = numpy.arange(200_000, dtype=float)
    for _ in range(n):
        waves = numpy.sin(values) * 2.0 + values
        numpy.sort(waves[::-1].copy())
        waves.cumsum().mean()


# How often each runs at scale 1: some 50 ms on a machine of 2024.
TIMES = {
    "calls": 250,
    "floats": 4200,
    "integers": 23,
    "big_integers": 175,
    "dicts": 50,
    "strings": 38,
    "lists": 45,
    "objects": 80,
    "generators": 110,
    "exceptions": 50,
    "graphs": 26,
    "library": 90,
    "chance": 48,
    "arrays": 4,
}


def take(name, scale):
    times = max(1, round(TIMES[name] * scale))
    kernel = globals()[name]
    start = time.perf_counter()
    kernel(times)
    return time.perf_counter() - start
