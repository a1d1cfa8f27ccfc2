"""Verification: carry out the evidence a claim asks for, and judge it."""

from jaxbias.verification.registry import (
    catalogue as catalogue,
)
from jaxbias.verification.registry import (
    ledger as ledger,
)
from jaxbias.verification.run import Verdict as Verdict
from jaxbias.verification.run import verify as verify
