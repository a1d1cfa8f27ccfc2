"""Closed forms, claims and the rules of a verdict: numpy and scipy only."""

from jaxbias.theory._claim import Claim as Claim
from jaxbias.theory._claim import Computation as Computation
from jaxbias.theory._claim import Decoy as Decoy
from jaxbias.theory._claim import Hypothesis as Hypothesis
from jaxbias.theory._claim import Remainder as Remainder
from jaxbias.theory._claim import Source as Source
from jaxbias.theory._claim import Training as Training
from jaxbias.theory._claim import conventions as conventions
from jaxbias.theory._claim import no_hypotheses as no_hypotheses
from jaxbias.theory._claim import requires as requires
from jaxbias.theory._claim import scaled as scaled
from jaxbias.theory._verdict import Finding as Finding
from jaxbias.theory._verdict import judge_at_least as judge_at_least
from jaxbias.theory._verdict import judge_at_most as judge_at_most
from jaxbias.theory._verdict import judge_constant as judge_constant
from jaxbias.theory._verdict import judge_exponent as judge_exponent
from jaxbias.theory._verdict import judge_identity as judge_identity
from jaxbias.theory._verdict import judge_interval as judge_interval
from jaxbias.theory._verdict import judge_order as judge_order
from jaxbias.theory._verdict import judge_probability as judge_probability
from jaxbias.theory._verdict import searched as searched
