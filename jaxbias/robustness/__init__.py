"""Robustness radii: intervals with witnesses, closed forms, ceilings, attacks."""

from jaxbias.robustness import apgd as apgd
from jaxbias.robustness import fast_minimum_norm as fast_minimum_norm
from jaxbias.robustness import fgm as fgm
from jaxbias.robustness import multistart as multistart
from jaxbias.robustness import pgd as pgd
from jaxbias.robustness import sphere_pgd as sphere_pgd
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
from jaxbias.robustness.curves import (
    Curves as Curves,
)
from jaxbias.robustness.curves import (
    robust_accuracy_curve as robust_accuracy_curve,
)
from jaxbias.robustness.masking import (
    Masking as Masking,
)
from jaxbias.robustness.masking import (
    masking_report as masking_report,
)
from jaxbias.robustness.minimum_norm import Search as Search
