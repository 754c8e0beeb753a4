"""Collectives against a message-by-message simulation: what every device sends, and that it works.

Each device starts with real numbers; the messages are carried out and counted. The costs are also
those of the textbook (Thakur et al. 2005; Rabenseifner 2004).
"""

from collections.abc import Callable
from fractions import Fraction

import pytest
from sympy import Integer, Rational, cancel

import lifesym as ls
from lifesym import symbols as sym
from lifesym.formats import Precision
from lifesym.operators import Collective

Blocks = list[list[Fraction]]
"""For every device its n blocks of the tensor."""


class Network:
    """Counts rounds, and the blocks that each device sends."""

    def __init__(self, devices: int) -> None:
        self.sent = [Fraction(0)] * devices
        self.messages = [0] * devices

    def send(self, device: int, blocks: int | Fraction) -> None:
        self.sent[device] += blocks
        self.messages[device] += 1


def start(n: int) -> Blocks:
    return [[Fraction(7 * d + b + 1) for b in range(n)] for d in range(n)]


def ring_reduce_scatter(data: Blocks, net: Network) -> None:
    n = len(data)
    for step in range(n - 1):
        moving = [(d, (d - step) % n, data[d][(d - step) % n]) for d in range(n)]
        for d, block, value in moving:
            data[(d + 1) % n][block] += value
            net.send(d, 1)


def ring_all_gather(data: Blocks, net: Network) -> None:
    n = len(data)
    for step in range(n - 1):
        moving = [(d, (d + 1 - step) % n) for d in range(n)]
        values = [data[d][block] for d, block in moving]
        for (d, block), value in zip(moving, values, strict=True):
            data[(d + 1) % n][block] = value
            net.send(d, 1)


def ring(data: Blocks, net: Network) -> None:
    ring_reduce_scatter(data, net)
    ring_all_gather(data, net)


def halving_doubling(data: Blocks, net: Network) -> None:
    """Recursive halving, then recursive doubling, over the blocks each device is left with."""
    n = len(data)
    mine = [range(n) for _ in range(n)]
    distance = n // 2
    while distance:
        halves = []
        for d in range(n):
            first, second = mine[d][: len(mine[d]) // 2], mine[d][len(mine[d]) // 2 :]
            halves.append((first, second) if not d & distance else (second, first))
        moving = [(d, halves[d][1], [data[d][b] for b in halves[d][1]]) for d in range(n)]
        for d, blocks, values in moving:
            for b, value in zip(blocks, values, strict=True):
                data[d ^ distance][b] += value
            net.send(d, len(blocks))
        mine = [halves[d][0] for d in range(n)]
        distance //= 2
    held = [list(part) for part in mine]
    distance = 1
    while distance < n:
        moving = [(d, list(held[d]), [data[d][b] for b in held[d]]) for d in range(n)]
        for d, blocks, values in moving:
            for b, value in zip(blocks, values, strict=True):
                data[d ^ distance][b] = value
            held[d ^ distance] += blocks
            net.send(d, len(blocks))
        distance *= 2


def recursive_doubling(data: Blocks, net: Network) -> None:
    """Whole tensors are exchanged at doubled distances; every device adds up all the time."""
    n = len(data)
    distance = 1
    while distance < n:
        moving = [(d, list(data[d])) for d in range(n)]
        for d, values in moving:
            data[d ^ distance] = [a + b for a, b in zip(data[d ^ distance], values, strict=True)]
            net.send(d, n)
        distance *= 2


def tree(data: Blocks, net: Network) -> None:
    """A binomial reduction to device 0, then the broadcast back: the root takes part in all."""
    n = len(data)
    distance = 1
    while distance < n:
        for d in range(0, n - distance, 2 * distance):
            data[d] = [a + b for a, b in zip(data[d], data[d + distance], strict=True)]
            net.send(d + distance, n)
        distance *= 2
    while distance > 1:
        distance //= 2
        for d in range(0, n - distance, 2 * distance):
            data[d + distance] = list(data[d])
            net.send(d, n)


POWERS = [1, 2, 4, 8, 16]
CASES: list[tuple[str, Callable[[Blocks, Network], None], list[int]]] = [
    ("ring", ring, list(range(1, 17))),
    ("halving_doubling", halving_doubling, POWERS),
    ("recursive_doubling", recursive_doubling, POWERS),
]


@pytest.mark.parametrize(("algorithm", "run", "counts"), CASES, ids=lambda x: str(x)[:20])
def test_all_reduce(
    algorithm: str, run: Callable[[Blocks, Network], None], counts: list[int]
) -> None:
    for n in counts:
        data, net = start(n), Network(n)
        expected = [sum(column) for column in zip(*data, strict=True)]
        run(data, net)
        assert all(row == expected for row in data)
        operator = Collective(
            pattern="all_reduce", elements=sym.hidden, devices=n, algorithm=algorithm
        )
        messages, share = operator.traffic()
        assert {*net.messages} == {messages}
        assert {sent / n for sent in net.sent} == {Fraction(int(share.p), int(share.q))}


@pytest.mark.parametrize("n", range(1, 17))
def test_tree_all_reduce_is_its_critical_path(n: int) -> None:
    """Every message carries the whole tensor, and 2 log n of them follow each other."""
    data, net = start(n), Network(n)
    expected = [sum(column) for column in zip(*data, strict=True)]
    tree(data, net)
    assert all(row == expected for row in data)
    messages, share = Collective(
        pattern="all_reduce", elements=1, devices=n, algorithm="tree"
    ).traffic()
    rounds = (n - 1).bit_length()
    assert messages == share == 2 * rounds
    assert sum(net.messages) == 2 * (n - 1)
    assert max(net.messages) == rounds or n == 1  # the root's broadcasts, one a round
    assert all(sent == n * count for sent, count in zip(net.sent, net.messages, strict=True))


class Clock(Network):
    """Also adds up the longest message of every round, of which the next waits for all."""

    def __init__(self, devices: int) -> None:
        super().__init__(devices)
        self.rounds, self.longest = 0, Fraction(0)
        self.open: dict[int, Fraction] = {}

    def send(self, device: int, blocks: int | Fraction) -> None:
        if device in self.open:
            self.close()
        self.open[device] = Fraction(blocks)
        super().send(device, blocks)

    def close(self) -> None:
        if self.open:
            self.rounds += 1
            self.longest += max(self.open.values())
        self.open = {}


def folded(data: Blocks, net: Clock) -> None:
    """Pairs of the first devices leave one each: halves exchanged, the reduced half handed over."""
    n = len(data)
    power = 2 ** (n.bit_length() - 1)
    pairs = [(2 * i, 2 * i + 1) for i in range(n - power)]
    half = n // 2
    for even, odd in pairs:  # the partner sums up the second half, which is the longer one
        first = [a + b for a, b in zip(data[even][:half], data[odd][:half], strict=True)]
        second = [a + b for a, b in zip(data[even][half:], data[odd][half:], strict=True)]
        net.send(even, Fraction(n, 2))
        net.send(odd, Fraction(n, 2))
        data[even], data[odd] = first + second, []
    net.close()
    for _, odd in pairs:
        net.send(odd, Fraction(n, 2))
    net.close()
    left = [even for even, _ in pairs] + list(range(2 * len(pairs), n))
    parts = [[sum(data[d][b::power], Fraction(0)) for b in range(power)] for d in left]
    inner = Clock(power)
    halving_doubling(parts, inner)
    inner.close()
    net.rounds += inner.rounds
    net.longest += inner.longest * Fraction(n, power)
    whole = [sum(column) for column in zip(*(data[d] for d in left), strict=True)]
    assert all(part == [sum(whole[b::power]) for b in range(power)] for part in parts)
    for d in left:
        data[d] = list(whole)
    for even, odd in pairs:
        net.send(even, n)
        data[odd] = list(data[even])
    net.close()


@pytest.mark.parametrize("n", range(1, 17))
def test_halving_and_doubling_of_any_number_of_devices(n: int) -> None:
    """The critical path: every round waits for its longest message."""
    data, net = start(n), Clock(n)
    expected = [sum(column) for column in zip(*data, strict=True)]
    folded(data, net)
    assert all(row == expected for row in data)
    operator = Collective(pattern="all_reduce", elements=1, devices=n, algorithm="halving_doubling")
    messages, share = operator.traffic()
    assert messages == net.rounds
    assert Fraction(int(share.p), int(share.q)) == net.longest / n
    ring = Collective(pattern="all_reduce", elements=1, devices=n).traffic()
    assert share >= ring[1]


@pytest.mark.parametrize("n", range(1, 17))
def test_doubling_of_any_number_of_devices(n: int) -> None:
    """The devices beyond a power of two add what they have to one each, and are sent the sum."""
    data, net = start(n), Clock(n)
    expected = [sum(column) for column in zip(*data, strict=True)]
    power = 2 ** (n.bit_length() - 1)
    for d in range(power, n):
        data[d - power] = [a + b for a, b in zip(data[d - power], data[d], strict=True)]
        net.send(d, n)
    net.close()
    inner, among = data[:power], Clock(power)
    recursive_doubling(inner, among)
    among.close()
    net.rounds += among.rounds
    net.longest += among.longest * Fraction(n, power)
    data[:power] = inner
    for d in range(power, n):
        data[d] = list(data[d - power])
        net.send(d - power, n)
    net.close()
    assert all(row == expected for row in data)
    messages, share = Collective(
        pattern="all_reduce", elements=1, devices=n, algorithm="recursive_doubling"
    ).traffic()
    assert messages == net.rounds
    assert Fraction(int(share.p), int(share.q)) == net.longest / n


def doubled_all_gather(n: int) -> tuple[list[set[int]], Network]:
    """Bruck: each round a device sends what it has, at most what is missing, to one further off."""
    held, net = [[d] for d in range(n)], Network(n)
    distance = 1
    while distance < n:
        count = min(distance, n - distance)
        moving = [list(held[d][:count]) for d in range(n)]
        for d in range(n):
            held[(d - distance) % n] += moving[d]
            net.send(d, count)
        distance *= 2
    return [set(blocks) for blocks in held], net


def halved_reduce_scatter(data: Blocks) -> Network:
    """The same backwards: partial sums go the way back that blocks came, last round first."""
    n, net = len(data), Network(len(data))
    sums = [[data[d][(d + i) % n] for i in range(n)] for d in range(n)]
    distances = [2**i for i in range((n - 1).bit_length())]
    for distance in reversed(distances):
        count = min(distance, n - distance)
        moving = [list(sums[d][distance : distance + count]) for d in range(n)]
        for d in range(n):
            for i, value in enumerate(moving[d]):
                sums[(d + distance) % n][i] += value
            net.send(d, count)
    for d in range(n):
        data[d][d] = sums[d][0]
    return net


@pytest.mark.parametrize("n", range(1, 34))
def test_doubled_gathers_and_halved_scatters_of_any_number_of_devices(n: int) -> None:
    held, gathered = doubled_all_gather(n)
    assert all(blocks == set(range(n)) for blocks in held)
    data = start(n)
    expected = [sum(column) for column in zip(*data, strict=True)]
    scattered = halved_reduce_scatter(data)
    assert [data[d][d] for d in range(n)] == expected
    for pattern, net in (("all_gather", gathered), ("reduce_scatter", scattered)):
        messages, share = Collective(
            pattern=pattern, elements=1, devices=n, algorithm="halving_doubling"
        ).traffic()
        assert {*net.messages} == {messages}
        assert {Fraction(sent, n) for sent in net.sent} == {Fraction(int(share.p), int(share.q))}


@pytest.mark.parametrize("n", range(1, 17))
def test_halves_of_a_ring_and_exchanges(n: int) -> None:
    for pattern, run in (("reduce_scatter", ring_reduce_scatter), ("all_gather", ring_all_gather)):
        net = Network(n)
        run(start(n), net)
        messages, share = Collective(pattern=pattern, elements=1, devices=n).traffic()
        assert {*net.messages} == {messages}
        assert {Fraction(sent, n) for sent in net.sent} == {Fraction(int(share.p), int(share.q))}
    net = Network(n)
    for d in range(n):
        for other in range(n):
            if other != d:
                net.send(d, 1)  # block `other` of device d
    messages, share = Collective(pattern="all_to_all", elements=1, devices=n).traffic()
    assert {*net.messages} == {messages}
    assert {Fraction(sent, n) for sent in net.sent} == {Fraction(int(share.p), int(share.q))}


@pytest.mark.parametrize(("n", "rounds"), [(2, 1), (4, 2), (64, 6)])
def test_textbook_costs(n: int, rounds: int) -> None:
    """Thakur et al., section 4: alpha and beta terms of each, of a power of two devices."""
    m, share = sym.hidden, Rational(n - 1, n)
    expected = {
        ("all_reduce", "ring"): (2 * (n - 1), 2 * m * share),
        ("all_reduce", "halving_doubling"): (2 * rounds, 2 * m * share),
        ("all_reduce", "recursive_doubling"): (rounds, m * rounds),
        ("all_reduce", "tree"): (2 * rounds, 2 * m * rounds),
        ("all_gather", "halving_doubling"): (rounds, m * share),
        ("reduce_scatter", "halving_doubling"): (rounds, m * share),
        ("all_gather", "ring"): (n - 1, m * share),
        ("reduce_scatter", "ring"): (n - 1, m * share),
        ("all_to_all", "ring"): (n - 1, m * share),
        ("point_to_point", "ring"): (1, m),
    }
    for (pattern, algorithm), (messages, moved) in expected.items():
        operator = Collective(pattern=pattern, elements=m, devices=sym.devices, algorithm=algorithm)
        cost, at = operator.cost(Precision.of("bf16", "int8")), {sym.devices: Integer(n)}
        assert cost.messages.xreplace(at) == messages
        assert cost.network_bytes.xreplace(at) == moved


@pytest.mark.parametrize("algorithm", ["ring", "tree", "halving_doubling", "recursive_doubling"])
def test_a_number_of_devices_that_is_a_symbol_is_any_number(algorithm: str) -> None:
    """Rounds of a tree are whole numbers, whether the devices are counted or a symbol."""
    cost = {"pattern": "all_reduce", "elements": 1, "algorithm": algorithm}
    symbolic = Collective(devices=sym.devices, **cost).traffic()
    compiled = [ls.compile(expr, ["devices"], target="python") for expr in symbolic]
    for n in range(1, 70):
        numbers = Collective(devices=n, **cost).traffic()
        assert tuple(expr.xreplace({sym.devices: Integer(n)}) for expr in symbolic) == numbers
        assert [one(n) for one in compiled] == pytest.approx([float(one) for one in numbers])


def test_an_all_reduce_is_its_two_halves() -> None:
    parts = [
        Collective(pattern=pattern, elements=sym.hidden, devices=sym.devices).traffic()
        for pattern in ("reduce_scatter", "all_gather", "all_reduce")
    ]
    for i in (0, 1):
        assert cancel(parts[0][i] + parts[1][i] - parts[2][i]) == 0
    assert Rational(3, 2) == parts[2][1].subs(sym.devices, 4)
