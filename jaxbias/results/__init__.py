"""Labelled tables of runs: written once, read back as one, summarised over seeds."""

from jaxbias.results.exponents import exponent as exponent
from jaxbias.results.exports import export as export
from jaxbias.results.headway import headway as headway
from jaxbias.results.intervals import confidence as confidence
from jaxbias.results.provenance import provenance as provenance
from jaxbias.results.specs import spec_from_json as spec_from_json
from jaxbias.results.specs import spec_hash as spec_hash
from jaxbias.results.specs import spec_to_json as spec_to_json
from jaxbias.results.store import open as open
from jaxbias.results.store import same_data as same_data
from jaxbias.results.store import write as write
from jaxbias.results.summaries import finished as finished
from jaxbias.results.summaries import median as median
from jaxbias.results.summaries import quantiles as quantiles
from jaxbias.results.summaries import worst as worst
from jaxbias.results.tables import combine as combine
