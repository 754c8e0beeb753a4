r"""How many tokens a speculative step gives, by each of the measures that are in use.

Of $\gamma$ drafted tokens a prefix is accepted, and the target adds one. With $p_i$ the chance that
the token at position $i$ is accepted, and so all before it, a step gives on average

$$E = 1 + \sum_{i=1}^{\gamma} p_i$$

tokens. Papers take a chance $\alpha$ that a token is accepted *given that all before it were*, the
same at every position: $p_i = \alpha^i$. Engines print the tokens accepted over those drafted,
$r = \sum_i p_i / \gamma$, so $E = 1 + \gamma r$; or the $p_i$ by position; or $E$, the mean length.
Sources: Leviathan et al., arXiv 2211.17192, Eq. 1; vLLM, ``v1/spec_decode/metrics.py``.
"""

from collections.abc import Sequence
from itertools import pairwise

from sympy import Add, Dummy, Expr, Poly, S, real_roots

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.symbols import Number, Size, constant, exact, size


@checked
def expected_tokens(draft: Size = sym.draft, acceptance: Number = sym.acceptance) -> Expr:
    r"""Tokens that a step gives, of the chance given that all before were accepted.

    A polynomial in the acceptance for a whole number of drafted tokens, else the closed form,
    which needs an acceptance other than 1.

    >>> expected_tokens(2)
    acceptance**2 + acceptance + 1

    Raises:
        SymbolError: an acceptance outside 0 to 1.
    """
    gamma = size(draft, "draft", minimum=0)
    alpha = _share(acceptance, "acceptance")
    if gamma.is_Integer:
        return Add(*(alpha**i for i in range(int(gamma) + 1)))
    if alpha is S.One:
        return gamma + 1
    return (1 - alpha ** (gamma + 1)) / (1 - alpha)


@checked
def tokens_at_rate(draft: Size = sym.draft, rate: Number = sym.accepted_rate) -> Expr:
    """Tokens that a step gives, of those accepted over those drafted.

    >>> tokens_at_rate()
    accepted_rate*draft + 1

    Raises:
        SymbolError: a rate outside 0 to 1.
    """
    return 1 + size(draft, "draft", minimum=0) * _share(rate, "accepted_rate")


@checked
def tokens_at_positions(rates: Sequence[Number]) -> Expr:
    """Tokens that a step gives, of the rates by position: accepted there over steps.

    >>> tokens_at_positions([0.75, 0.5])
    9/4

    Raises:
        SymbolError: a rate outside 0 to 1, or above that of the position before it.
    """
    shares = [_share(rate, "position rate") for rate in rates]
    for before, after in pairwise(shares):
        if (after - before).is_positive:
            raise SymbolError(
                f"position rates cannot rise, as from {before} to {after}: a token is accepted"
                " only where all before it are"
            )
    return Add(S.One, *shares)


@checked
def conditional(draft: int, tokens: Number) -> Expr:
    """The chance, given that all before were accepted, at which a step gives so many tokens.

    It is the only root from 0 to 1 of ``expected_tokens(draft, x) == tokens``, and exact.

    >>> conditional(2, 1.75)
    1/2

    Raises:
        SymbolError: fewer tokens than one, or more than the drafted ones and one.
    """
    mean, gamma = (
        mean_tokens(draft, constant(tokens, "tokens")),
        int(size(draft, "draft", minimum=0)),
    )
    if mean == 1:
        return S.Zero
    x = Dummy("x")
    polynomial = Poly(expected_tokens(gamma, x) - mean, x)
    root: Expr = next(root for root in real_roots(polynomial) if root > 0)
    return root


def mean_tokens(draft: Size, tokens: Number) -> Expr:
    """A mean length that a step of so many drafted tokens can have.

    Raises:
        SymbolError: it cannot.
    """
    gamma, mean = size(draft, "draft", minimum=0), exact(tokens, "tokens_per_step")
    if (mean - 1).is_negative or (gamma + 1 - mean).is_negative:
        raise SymbolError(
            f"tokens_per_step must be between 1 and draft + 1 = {gamma + 1}, not {_plain(mean)}"
        )
    return mean


def _share(value: Number, name: str) -> Expr:
    share = exact(value, name)
    if share.is_number and not 0 <= share <= 1:
        raise SymbolError(f"{name} must be between 0 and 1, not {_plain(share)}")
    return share


def _plain(number: Expr) -> str:
    """A number as a decimal, which is how one writes a share."""
    return f"{float(number):g}" if number.is_number else str(number)
