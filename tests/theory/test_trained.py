"""Judging trained networks, on arrays made by hand."""

import numpy as np
import pytest

from jaxbias.theory._trained_runs import with_error
from jaxbias.verification import ledger

CLAIM = {
    name.rpartition("trained-")[2]: claim
    for name, claim in ledger().items()
    if "/trained-" in name
}


def _table(seeds, wiggle):
    rng = np.random.default_rng(0)
    shake = lambda *shape: wiggle * rng.choice([-1, 1], size=shape)
    cosines = np.full((seeds, 2, 3), -0.2)
    cosines[:, 0, 0], cosines[:, 1, 1], cosines[:, 0, 2] = 0.9999, 0.9998, 0.3
    return {
        "finished": np.ones(seeds, bool),
        "class_cosines": cosines + shake(seeds, 2, 3),
        # The third neuron never grew: its direction is nobody's business.
        "contributions": np.tile([1.7, 1.4, 1e-6], (seeds, 1)),
        "amplitudes": np.sqrt([[3.0, 2.0]]) + shake(seeds, 2),
        "radius_lower": 0.44 + shake(seeds, 5),
        "radius_upper": 0.448 + shake(seeds, 5),
    }


def _arrays(wiggles=(9e-6, 3e-6, 0.0)):
    coarse, middle, fine = (_table(n, w) for n, w in zip((4, 4, 16), wiggles))
    return {**fine, "coarse": coarse, "middle": middle}


def _judge(name, arrays):
    claim = CLAIM[name]
    setting = claim.setting
    prediction, remainder = claim.predict(setting), claim.remainder(setting)
    return claim.judge(arrays, prediction, remainder, 1e-3)


NAMES = [f"averages/{n}" for n in ("cosine", "amplitudes", "radius-upper")]
NAMES += ["averages/radius-lower", "averages/certificate"]


@pytest.mark.parametrize("name", NAMES)
def test_good_runs_are_good_and_every_seed_is_reported(name):
    finding = _judge(name, _arrays())
    assert finding.conclusion == "true"
    assert len(finding.measured) >= 16


@pytest.mark.parametrize("name", NAMES)
def test_one_unfinished_seed_withholds_the_verdict(name):
    arrays = _arrays()
    for key, value in arrays.items():
        if key not in ("coarse", "middle", "finished"):
            value[7] = np.nan
    arrays["finished"][7] = False
    assert _judge(name, arrays).conclusion == "unresolved"


def test_one_bad_seed_is_false_not_averaged_away():
    arrays = _arrays()
    arrays["amplitudes"][11] *= 1.1
    assert _judge("averages/amplitudes", arrays).conclusion == "false"


def test_runs_that_do_not_settle_are_unresolved():
    finding = _judge("averages/amplitudes", _arrays((1e-3, 1e-3, 5e-3)))
    assert finding.conclusion == "unresolved"
    assert finding.numerical_error == np.inf


def test_the_error_is_that_of_the_last_difference():
    value, error = with_error(_arrays(), lambda a: a["amplitudes"], 0.0)
    assert error == pytest.approx(6e-6)
    assert value.shape == (16, 2)


def test_differences_far_below_the_remainder_need_not_fall():
    arrays = _arrays((1e-6, 1e-6, 5e-6))
    observable = lambda a: a["amplitudes"]
    assert with_error(arrays, observable, 1e-2)[1] <= 2 * 1.2e-5
    assert with_error(arrays, observable, 5e-6)[1] == np.inf


def test_only_dominant_neurons_count():
    arrays = _arrays()
    assert _judge("averages/cosine", arrays).measured.min() > 0.999
    for level in (arrays, arrays["coarse"], arrays["middle"]):
        level["contributions"][:, 2] = 0.1
    assert _judge("averages/cosine", arrays).conclusion == "false"


def test_a_certificate_above_an_attack_is_caught():
    arrays = _arrays()
    arrays["radius_lower"][3, 2] = arrays["radius_upper"][3, 2] + 1e-6
    assert _judge("averages/certificate", arrays).conclusion == "false"


def test_predictions_are_the_closed_forms():
    centres = CLAIM["centres/radius-upper"]
    assert centres.predict(centres.setting)["value"] == pytest.approx(np.sqrt(0.5))
    averages = CLAIM["averages/amplitudes"]
    assert averages.predict(averages.setting)["value"] == pytest.approx(
        np.sqrt([[3, 2]])
    )
