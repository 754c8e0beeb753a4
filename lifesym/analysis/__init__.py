"""Questions asked of finished expressions: see ``docs/analysis.md``."""

from lifesym.analysis.agreement import CONVENTIONS, Agreement, Convention, compare, counted
from lifesym.analysis.approximation import Approximation, approximate
from lifesym.analysis.asymptotics import Asymptote, leading, threshold
from lifesym.analysis.bounds import ShareBound, largest_share
from lifesym.analysis.branches import branch_at
from lifesym.analysis.certificates import Certificate, certify
from lifesym.analysis.equality import Verdict, same
from lifesym.analysis.expectation import Expected, Moments, break_even, expected, mixture
from lifesym.analysis.front import pareto
from lifesym.analysis.inverse import Design, design
from lifesym.analysis.maps import RegimeMap, regime_map
from lifesym.analysis.meeting import Meeting, crossover, meeting_points, ridge_points
from lifesym.analysis.naming import Folded, let
from lifesym.analysis.normal import Step, Tidy, tidy
from lifesym.analysis.questions import part
from lifesym.analysis.regime import Regime, Stretch, regime_at, regimes
from lifesym.analysis.regions import Branch, Condition
from lifesym.analysis.sensitivity import (
    Elasticities,
    Elasticity,
    elasticities,
    gradient,
    local_elasticities,
    second_order,
)
from lifesym.analysis.uncertainty import delta_method, monte_carlo, sobol
from lifesym.analysis.whatif import if_free, shares, tornado
from lifesym.named import unfold

__all__ = [
    "CONVENTIONS",
    "Agreement",
    "Approximation",
    "Asymptote",
    "Branch",
    "Certificate",
    "Condition",
    "Convention",
    "Design",
    "Elasticities",
    "Elasticity",
    "Expected",
    "Folded",
    "Meeting",
    "Moments",
    "Regime",
    "RegimeMap",
    "ShareBound",
    "Step",
    "Stretch",
    "Tidy",
    "Verdict",
    "approximate",
    "branch_at",
    "break_even",
    "certify",
    "compare",
    "counted",
    "crossover",
    "delta_method",
    "design",
    "elasticities",
    "expected",
    "gradient",
    "if_free",
    "largest_share",
    "leading",
    "let",
    "local_elasticities",
    "meeting_points",
    "mixture",
    "monte_carlo",
    "pareto",
    "part",
    "regime_at",
    "regime_map",
    "regimes",
    "ridge_points",
    "same",
    "second_order",
    "shares",
    "sobol",
    "threshold",
    "tidy",
    "tornado",
    "unfold",
]
