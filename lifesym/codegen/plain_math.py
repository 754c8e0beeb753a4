"""Rounding, logarithms and powers in plain arithmetic, as text of C++, Rust and C.

C++'s own are no constant expressions before C++26, and those of Rust need its standard library.
ceil and floor are exact. The logarithm brings its argument into [1/sqrt(2), sqrt(2)] by powers of
two, which is exact, and sums the series of 2 artanh((m - 1) / (m + 1)) until terms are below a
double's rounding. A power with a whole exponent up to 1024 is a product by squarings, any other
exp(y log x), its exponential by the series to r**15 on |r| <= log(2) / 2: all within 1e-12.
C has a library, but a power that counts is shorter by squarings (`lifesym.codegen.squarings`).
"""

CPP = {
    "ceil": """
static constexpr double ceil(const double x) { return -floor(-x); }
""",
    "floor": """
static constexpr double floor(const double x) {
    if (!(x > -4503599627370496.0 && x < 4503599627370496.0)) return x;  // whole, or NaN
    const double whole = static_cast<double>(static_cast<long long>(x));
    return whole > x ? whole - 1.0 : whole;
}
""",
    "log": """
static constexpr double log(const double x) {
    const double infinity = std::numeric_limits<double>::infinity();
    if (x == 0.0) return -infinity;
    if (!(x > 0.0)) return std::numeric_limits<double>::quiet_NaN();
    if (x == infinity) return x;
    double m = x, twos = 0.0;
    for (; m > 1.4142135623730951; m *= 0.5) twos += 1.0;
    for (; m < 0.7071067811865476; m *= 2.0) twos -= 1.0;
    const double s = (m - 1.0) / (m + 1.0);
    double sum = 0.0;
    for (double k = 25.0; k > 2.0; k -= 2.0) sum = (sum + 1.0 / k) * s * s;
    return twos * 0.6931471805599453 + 2.0 * (s + s * sum);
}
""",
    "pow": """
static constexpr double pow(const double x, const double y) {
    if (y >= -1024.0 && y <= 1024.0 && floor(y) == y) {
        double product = 1.0, square = x;
        for (int n = static_cast<int>(y < 0.0 ? -y : y); n > 0; n /= 2) {
            if (n % 2 == 1) product *= square;
            if (n > 1) square *= square;
        }
        return y < 0.0 ? 1.0 / product : product;
    }
    const double z = y * log(x);
    if (z > 710.0) return std::numeric_limits<double>::infinity();
    if (z < -746.0) return 0.0;
    const double twos = floor(z * 1.4426950408889634 + 0.5);
    const double r = (z - twos * 0.6931471803691238) - twos * 1.9082149292705877e-10;
    double sum = 1.0;
    for (double k = 15.0; k > 0.0; k -= 1.0) sum = 1.0 + sum * r / k;
    for (double k = 0.0; k < twos; k += 1.0) sum *= 2.0;
    for (double k = 0.0; k > twos; k -= 1.0) sum *= 0.5;
    return sum;
}
""",
}
RUST = {
    "ceil": """
fn ceil(x: f64) -> f64 {
    -floor(-x)
}
""",
    "floor": """
fn floor(x: f64) -> f64 {
    if !(-4503599627370496.0..=4503599627370496.0).contains(&x) {
        return x; // whole, or NaN
    }
    let whole = x as i64 as f64;
    if whole > x { whole - 1.0 } else { whole }
}
""",
    "log": """
fn log(x: f64) -> f64 {
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if !(0.0..=f64::MAX).contains(&x) {
        return if x > 0.0 { x } else { f64::NAN };
    }
    let (mut m, mut twos) = (x, 0.0);
    while m > core::f64::consts::SQRT_2 {
        m *= 0.5;
        twos += 1.0;
    }
    while m < core::f64::consts::FRAC_1_SQRT_2 {
        m *= 2.0;
        twos -= 1.0;
    }
    let s = (m - 1.0) / (m + 1.0);
    let (mut sum, mut k) = (0.0, 25.0);
    while k > 2.0 {
        sum = (sum + 1.0 / k) * s * s;
        k -= 2.0;
    }
    twos * core::f64::consts::LN_2 + 2.0 * (s + s * sum)
}
""",
    "pow": """
fn pow(x: f64, y: f64) -> f64 {
    if (-1024.0..=1024.0).contains(&y) && floor(y) == y {
        let (mut product, mut square) = (1.0, x);
        let mut n = if y < 0.0 { -y as u32 } else { y as u32 };
        while n > 0 {
            if n % 2 == 1 {
                product *= square;
            }
            square *= square;
            n /= 2;
        }
        return if y < 0.0 { 1.0 / product } else { product };
    }
    let z = y * log(x);
    if z > 710.0 {
        return f64::INFINITY;
    }
    if z < -746.0 {
        return 0.0;
    }
    let twos = floor(z * core::f64::consts::LOG2_E + 0.5);
    let r = (z - twos * 0.693_147_180_369_123_8) - twos * 1.908_214_929_270_587_7e-10;
    let (mut sum, mut k) = (1.0, 15.0);
    while k > 0.0 {
        sum = 1.0 + sum * r / k;
        k -= 1.0;
    }
    while k < twos {
        sum *= 2.0;
        k += 1.0;
    }
    while k > twos {
        sum *= 0.5;
        k -= 1.0;
    }
    sum
}
""",
}
C = {
    "power": """
static inline {real} {name}_power(const {real} base, const {real} exponent)
{{
    if (!(exponent >= {zero} && exponent < {most})) return NAN;
    {real} product = {one}, square = base;
    for (unsigned long n = (unsigned long)exponent; n > 0; n /= 2) {{
        if (n % 2 > 0) product *= square;
        square *= square;
    }}
    return product;
}}
""",
}
NEEDS = {
    "ceil": ("floor", "ceil"),
    "floor": ("floor",),
    "log": ("log",),
    "pow": ("floor", "log", "pow"),
}
"""Which of them a call of each takes, in order."""
