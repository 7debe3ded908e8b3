"""Which names are those of secrets: decided by their words, not by their letters."""

import re
from collections.abc import Sequence

LONGEST = 256
"""Of a longer name the first and last half of this are looked at."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ANYWHERE = _set(
    """
    accesskey accesstoken accountkey apikey apitoken appkey authcode authkey authtoken
    authorization backupcode bearer cardnumber clientsecret cookie cookies credential
    credentials creditcard csrf csrftoken cvc cvv encryptionkey hmackey idtoken jsessionid
    jwt logincode masterkey otp passcode passphrase passwd passwort password passwords
    phpsessid privatekey pwd recoverycode refreshtoken secret secretkey secrets
    securitycode sessid sessionid sessionkey sharedkey signature signingkey sshkey ssn
    storagekey token totp verificationcode xcsrf xsrf xsrftoken
    """
)
"""Words, and pairs of words run together, that make a name secret wherever they stand."""

_ENDS = (
    *("accesskey", "apikey", "credentials", "passphrase", "passwd", "password"),
    *("privatekey", "secret", "secretkey", "sessionid", "token"),
)
"""A word that ends so was run together: ``dbpassword``."""

_LAST = frozenset({"auth", "pass", "pin", "session"})
"""Words that make a name secret as its last one alone."""

_OWNERS = _set(
    """
    access api auth bearer client csrf device id jwt oauth oauth2 push refresh reset
    security session user xsrf
    """
)
"""Before ``tokens``, of which language models use many that are no secrets."""

_TELLS = _set(
    """
    accepted age alg algorithm allowed arn at attempts audience backend banner bucket
    budget bytes changed changes consent cost count counts created date days disabled
    domain duration enabled endpoint error errors exists exp expired expires expiration
    expiry failures fingerprint format found in index invalid issuer kind label lang len
    length level lifetime limit limits location manager max message method min minutes
    missing mode ms name names ns ok path per placeholder policy position price provider
    ratio rate reason regex remaining required result retries rotated rotation rule rules
    samesite scheme scope scopes score seconds secure service size sizes state status
    store strength timestamp title total totals ttl type types updated uri url usage used
    valid validity verified version warning
    """
)
"""A name that ends so tells something about a secret: ``token_count``."""

_ASKS = _set(
    """
    allow allows can count enable forgot has is max min must n needs no num requires
    should show total with
    """
)
"""A name that begins so is a number, or a yes or no: ``has_password``."""

_NOT_BEFORE = {"id": frozenset({"credential", "credentials", "token"})}
_NOT_AFTER = {
    "pass": _set("boarding first last multi next render second single"),
    "pin": _set("board drop gpio led map"),
    "signature": _set("call function method type"),
}


def words(name: str) -> list[str]:
    """Give the words of a name in lower case, without its numbers.

    >>> words("X-Api-Key"), words("dbPassword2"), words("APIKey")
    (['x', 'api', 'key'], ['db', 'password'], ['api', 'key'])
    """
    if len(name) > LONGEST:
        name = f"{name[: LONGEST // 2]} {name[-LONGEST // 2 :]}"
    return [word.lower() for word in _WORD.findall(name)]


def has_words(name: Sequence[str], wanted: Sequence[str]) -> bool:
    """Tell whether these words follow each other in a name, apart or run together."""
    run = "".join(wanted)
    for first in range(len(name)):
        found = ""
        for word in name[first:]:
            found += word
            if found == run:
                return True
            if len(found) >= len(run):
                break
    return False


def is_secret(name: Sequence[str]) -> bool:
    """Tell whether a name, as words, is that of a secret.

    It has a word of secrets, or two words that are one; and neither does its last word
    say that it only tells something about one, nor its first that it asks.
    """
    if not name or name[-1] in _TELLS or (len(name) > 1 and name[0] in _ASKS):
        return False
    is_last = name[-1] in _LAST and _goes(name, len(name) - 1)
    return is_last or _is_in(name)


def _is_in(name: Sequence[str]) -> bool:
    for index, word in enumerate(name):
        before = name[index - 1] if index else ""
        if word in _ANYWHERE or word.endswith(_ENDS) or before + word in _ANYWHERE:
            if _goes(name, index):
                return True
        elif word == "tokens" and before in _OWNERS:
            return True
    return False


def _goes(name: Sequence[str], index: int) -> bool:
    """Tell whether a word means a secret between its neighbours."""
    word = name[index]
    before = name[index - 1] if index else ""
    after = name[index + 1] if index + 1 < len(name) else ""
    if before in _NOT_AFTER.get(word, ()):
        return False
    return word not in _NOT_BEFORE.get(after, ())
