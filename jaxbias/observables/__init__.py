"""What is measured of a network: pure functions of a Snapshot, with named axes."""

from jaxbias.observables import (
    alignment as alignment,
)
from jaxbias.observables import (
    averaging as averaging,
)
from jaxbias.observables import (
    balance as balance,
)
from jaxbias.observables import (
    margin as margin,
)
from jaxbias.observables import (
    patterns as patterns,
)
from jaxbias.observables import (
    rank as rank,
)
from jaxbias.observables._registry import (
    REGISTRY as REGISTRY,
)
from jaxbias.observables._registry import (
    Observable as Observable,
)
from jaxbias.observables._registry import (
    relative_error as relative_error,
)
from jaxbias.observables._registry import (
    resolve as resolve,
)
