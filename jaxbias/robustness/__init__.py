"""Robustness radii: intervals with witnesses, closed forms, ceilings, attacks."""

from jaxbias.robustness import apgd as apgd
from jaxbias.robustness import pgd as pgd
from jaxbias.robustness._branching import Budget as Budget
from jaxbias.robustness._radius import Radius as Radius
from jaxbias.robustness.bounds import radius as radius
from jaxbias.robustness.bounds import radius_batch as radius_batch
from jaxbias.robustness.ceilings import (
    attack_failed as attack_failed,
)
from jaxbias.robustness.ceilings import (
    population_ceiling as population_ceiling,
)
from jaxbias.robustness.minimum_norm import Search as Search
