"""Names that C, Python and JavaScript all take: what symbols and functions may be called."""

import re
from hashlib import sha256

from lifesym.checks import shown
from lifesym.errors import SymbolError

_WORDS = """
    auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef
    union unsigned void volatile while asm alignas alignof atomic bool complex imaginary noreturn
    nullptr typeof constexpr class template this throw try catch new delete namespace operator
    private protected public virtual friend explicit export mutable typename using wchar_t main
    linux unix i386 False None True and as assert async await def del elif except finally from
    global import in is lambda nonlocal not or pass raise with yield math np numpy range float64
    abstract arguments boolean byte debugger eval extends false final function implements
    instanceof interface let native null package super synchronized throws transient true var Math
    NaN Infinity undefined INFINITY NAN NULL EOF DOMAIN SING OVERFLOW UNDERFLOW PLOSS TLOSS
"""
_MATH = """
    acos asin atan atan2 cos sin tan acosh asinh atanh cosh sinh tanh exp exp2 expm1 frexp ilogb
    ldexp log log10 log1p log2 logb modf scalbn scalbln cbrt abs fabs hypot pow sqrt erf erfc
    lgamma tgamma gamma ceil floor nearbyint rint lrint llrint round lround llround trunc fmod
    remainder remquo copysign nan nextafter nexttoward fdim fmax fmin fma drem finite significand
    scalb j0 j1 jn y0 y1 yn exp10 pow10 sincos signgam fpclassify isfinite isinf isnan isnormal
    signbit isgreater isgreaterequal isless islessequal islessgreater isunordered float_t double_t
"""
_LIBRARY = """
    abort atexit atof atoi atol atoll bsearch calloc div exit free getenv labs ldiv llabs lldiv
    malloc mblen mbstowcs mbtowc qsort rand realloc srand strtod strtof strtol strtold strtoll
    strtoul strtoull system wcstombs wctomb clearerr fclose feof ferror fflush fgetc fgetpos fgets
    fopen fprintf fputc fputs fread freopen fscanf fseek fsetpos ftell fwrite getc getchar gets
    perror printf putc putchar puts remove rename rewind scanf setbuf setvbuf snprintf sprintf
    sscanf tmpfile tmpnam ungetc vfprintf vfscanf vprintf vscanf vsnprintf vsprintf vsscanf memchr
    memcmp memcpy memmove memset strcat strchr strcmp strcoll strcpy strcspn strerror strlen
    strncat strncmp strncpy strpbrk strrchr strspn strstr strtok strxfrm asctime clock ctime
    difftime gmtime localtime mktime strftime time raise signal longjmp setjmp isalnum isalpha
    isblank iscntrl isdigit isgraph islower isprint ispunct isspace isupper isxdigit tolower toupper
    setlocale localeconv assert errno stdin stdout stderr index rindex read write open close alloca
    I print len
"""
KEYWORDS = frozenset(_WORDS.split()) | frozenset(_LIBRARY.split())
"""Of C and C++ with C's library, Python, and strict JavaScript."""
_MACROS = ("HUGE_VAL", "M_", "FP_", "MATH_", "LIFESYM_")
_FUNCTIONS = frozenset(_MATH.split())


def reserved(name: str) -> bool:
    """Whether a word is a keyword, or a name of C's ``math.h``.

    Its functions have forms with ``f`` and ``l`` behind; types end in ``_t``.
    """
    math = name in _FUNCTIONS or (name[:-1] in _FUNCTIONS and name[-1] in "fl")
    return name in KEYWORDS or math or name.startswith(_MACROS) or name.endswith("_t")


def identifier(name: str, what: str) -> str:
    """A name that is valid in C, Python and JavaScript, from which other targets spell theirs.

    Raises:
        SymbolError: not a C identifier, a reserved word, or one of the emitters' own names.
    """
    if (
        not isinstance(name, str)
        or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name)
        or re.fullmatch(r"[it]\d+", name)
    ):
        raise SymbolError(
            f"{what} {shown(name)} is not a plain identifier of at most 31 characters"
        )
    if reserved(name):
        raise SymbolError(f"{what} {name!r} is a reserved word of a target language")
    return name


_LONGEST = 31
"""Letters of a name that every C99 compiler tells apart."""


def plain_name(text: str) -> str:
    """A name as an identifier's end: small letters, digits and underscores.

    >>> plain_name("h100-sxm-80gb"), plain_name("models/My Model/config.json")
    ('h100_sxm_80gb', 'models_my_model_config_json')
    """
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def function_name(metric: str, model: str, room: int = 0) -> str:
    """A function's name that says of what it is, so that two of them can be used together.

    With ``room`` for so many more letters.

    >>> function_name("tpot", "llama-2-7b")
    'tpot_llama_2_7b'
    """
    full, most = plain_name(f"{metric}_{model}"), _LONGEST - room
    if len(full) <= most:
        return full
    return f"{full[: most - 7]}_{sha256(full.encode()).hexdigest()[:6]}"
