"""Secrets are masked: by the name they have, and by the form they have in a text.

``Redactor`` says which; ``DEFAULT`` is the one that ``Obs`` uses.
"""

from obs.redact._redactor import DEFAULT, Redactor, check_redact

__all__ = ["DEFAULT", "Redactor", "check_redact"]
