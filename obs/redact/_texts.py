"""Secrets in free text, found by their form.

Every pattern takes time that is linear in the text: what repeats gives nothing back
(``*+``), is bounded, or ends before the next place where it may begin.

A ``…`` is taken as the place where a text was cut: what is left of a secret before it
counts as one.
"""

import re
from binascii import Error, a2b_base64

from obs.redact._late import Late

MASK = "[redacted]"

_PEM = Late(
    r"(-----BEGIN [A-Z ]{0,32}PRIVATE KEY(?: BLOCK)?-----)"
    r".*?(-----END [A-Z ]{0,48}-----|…|\Z)",
    re.DOTALL,
)
_USER = r"(://[^\s/?#:@\"'<>\\]*+:)"
_URL = Late(
    rf"{_USER}(?!\d{{0,5}}…)[^\s/?#\"'<>\\…]++(?=…(?:[\n'\"]|\Z))"  # or to an @
    rf"|{_USER}[^\s/?#\"'<>\\]+(?=@)"  # up to the last one before the host
    r"|(://)[\w-]{20,}+(?=@|…)"
)
_SCHEME = Late(
    r"\b((?i:bearer|basic)(?:[ \t]{1,8}+|\+|%20))"
    r"([A-Za-z0-9._~+/=-]{8,}+|[A-Za-z0-9._~+/=-]++(?=…))"
)
_BASIC_CHARS = 4_096
"""How much of basic credentials is decoded: the user's name and the colon."""

_SHAPES = [
    (needle, Late(pattern))
    for needle, pattern in (
        ("AKIA", r"AKIA(?:[A-Z0-9]{16}|[A-Z0-9]++(?=…))"),
        ("ASIA", r"ASIA(?:[A-Z0-9]{16}|[A-Z0-9]++(?=…))"),
        ("AIza", r"AIza(?:[\w-]{35}|[\w-]++(?=…))"),
        ("gh", r"gh[pousr]_(?:[A-Za-z0-9]{20,}+|[A-Za-z0-9]++(?=…))"),
        ("github_pat_", r"github_pat_(?:\w{20,}+|\w++(?=…))"),
        ("glpat-", r"glpat-(?:[\w-]{16,}+|[\w-]++(?=…))"),
        ("xox", r"xox[a-z]-(?:[A-Za-z0-9-]{10,}+|[A-Za-z0-9-]++(?=…))"),
        ("xapp-", r"xapp-(?:[A-Za-z0-9-]{10,}+|[A-Za-z0-9-]++(?=…))"),
        ("k_live_", r"[rs]k_live_(?:[A-Za-z0-9]{10,}+|[A-Za-z0-9]++(?=…))"),
        ("k_test_", r"[rs]k_test_(?:[A-Za-z0-9]{10,}+|[A-Za-z0-9]++(?=…))"),
        ("npm_", r"npm_(?:[A-Za-z0-9]{36,}+|[A-Za-z0-9]++(?=…))"),
        # Not inside of such a run: each of many beginnings would read it to its end. Last,
        # since masks before them make new beginnings.
        ("sk-", r"sk-(?<![\w-]sk-)(?=[A-Za-z_-]{0,64}+\d)(?:[\w-]{20,}+|[\w-]++(?=…))"),
        ("eyJ", r"eyJ(?<![\w-]eyJ)[\w-]{10,}+(?:\.[\w-]*+(?:\.[\w-]*+){0,3}+|(?=…))"),
    )
]

_RUN = Late(r"[0-9](?<!\w.)(?<!\d\..)(?:[ -]?[0-9]){12,}+")
_CUT_RUN = Late(r"[0-9](?:[ -]?[0-9]){6,18}[ -]?(?=…)")
_POINT = Late(r"\.\d")
_GROUPS = Late(r"[0-9]+|[ -]")
_CARD = Late(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d+(?<=^\d{16})"
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11,16}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|6(?:011|4[4-9]\d|5\d\d|2\d\d)\d{12,15}"  # Discover, UnionPay
    r"|220[0-4]\d{12,15}"  # Mir
    r"|(?:50|5[6-8]|6[0-9])\d{10,17}"  # Maestro
)
_LONGEST_CARD = 19
_DOUBLED = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]


def mask_keys(text: str) -> str:
    """Mask private keys between their first and last lines, or to the text's end."""
    return _PEM.sub(rf"\1{MASK}\2", text) if "-----BEGIN " in text else text


def mask_urls(text: str) -> str:
    """Mask the passwords of URLs, and users without one that are as long as a key."""
    if "://" not in text:
        return text
    return _URL.sub(lambda match: f"{match[match.lastindex or 0]}{MASK}", text)


def mask_schemes(text: str) -> str:
    """Mask what stands after ``bearer`` and ``basic`` and looks like credentials."""
    lower = text.lower()
    if "bearer" in lower or "basic" in lower:
        return _SCHEME.sub(_credentials, text)
    return text


def mask_shapes(text: str) -> str:
    """Mask JSON web tokens and the keys of services that begin as no word does."""
    for needle, pattern in _SHAPES:
        if needle in text:
            text = pattern.sub(MASK, text)
    return text


def mask_cards(text: str) -> str:
    """Mask numbers of payment cards: a known beginning, length and check digit.

    Where a text was cut the check digit is gone, so more digits than the six that may be
    shown of a card count as one.

    Source: ISO/IEC 7812-1, annex B (the check digit); PCI DSS, 3.4 (the six).
    """
    found = _RUN.sub(_cards, text)
    return _CUT_RUN.sub(MASK, found) if "…" in found else found


def _credentials(match: re.Match[str]) -> str:
    scheme, found = match.groups()
    is_one = _is_basic(found) if scheme[:2].lower() == "ba" else _is_bearer(found)
    return scheme + MASK if is_one else match[0]


def _is_bearer(found: str) -> bool:
    """Tell a token from a word: it has a digit, capitals inside, or no word's length."""
    head = found[:256]
    is_word = head[1:].islower() or head[1:].isupper()
    return not is_word or any(map(str.isdigit, head)) or len(found) > 24


def _is_basic(found: str) -> bool:
    head = found[:_BASIC_CHARS].rstrip("=.")
    try:
        return b":" in a2b_base64(head[: len(head) // 4 * 4] + _padded(head))
    except Error:
        return False


def _padded(head: str) -> str:
    rest = len(head) % 4
    return head[-rest:] + "=" * (4 - rest) if rest > 1 else ""


def _cards(match: re.Match[str]) -> str:
    """Mask the cards in one run of digits, groups apart by one space or hyphen."""
    groups = _GROUPS.findall(match[0])  # digits, separator, digits, ...
    after = match.string[match.end() : match.end() + 2]
    # The last group may go on: as a word, or as a number with a point.
    goes_on = after[:1].isalnum() or after[:1] == "_" or _POINT.match(after)
    whole = groups[:-1] if goes_on else groups
    found, first = [], 0
    while first < len(groups):
        last = _card_end(whole, first)
        found.append(groups[first] if last < first else MASK)
        first = max(first, last) + 1
    return "".join(found)


def _card_end(groups: list[str], first: int) -> int:
    """Give the index of the last group of the longest card that begins here, or -1."""
    digits, end = "", -1
    if first >= len(groups) or len(groups[first]) < 4:
        return end
    for last in range(first, len(groups), 2):
        digits += groups[last]
        if len(digits) > _LONGEST_CARD:
            break
        if len(digits) > 12 and _CARD.fullmatch(digits) and _checks(digits):
            end = last
    return end


def _checks(digits: str) -> bool:
    total = sum(map(int, digits[-1::-2]))
    return (total + sum(_DOUBLED[int(it)] for it in digits[-2::-2])) % 10 == 0
