"""Verification: carry out the evidence a claim asks for, and judge it."""

from jaxbias.verification.registry import (
    catalogue as catalogue,
    ledger as ledger,
)
from jaxbias.verification.run import Verdict as Verdict, verify as verify
