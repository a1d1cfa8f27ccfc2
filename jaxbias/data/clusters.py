"""Gaussian clusters around orthonormal centres, in both scalings of the literature."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Real

from jaxbias import _draws
from jaxbias._checks import InputError, nonnegative, one_of, positive_int
from jaxbias._precision import float_dtype
from jaxbias.data.dataset import Dataset

# Outside the range of sample numbers, so that the rotation shares no draw with them.
_ROTATION = 2**31 - 1


@dataclass(frozen=True)
class OrthonormalClusters:
    r"""Gaussian clusters: $x = \mu_k + \text{noise}$, label $+1$ for $k < $ positive.

    ``scaling="unit"``: $\|\mu_k\| = 1$ and noise $N(0, \sigma^2 I/D)$, so that the
    noise is a vector norm. ``scaling="sqrt_dim"``: $\|\mu_k\| = \sqrt D$ and noise
    $N(0, \sigma^2 I)$; divide the inputs by $\sqrt D$ to go from the second to the
    first.

    Attributes:
        dim: input dimension, at least ``clusters``.
        clusters: number of clusters.
        positive: the first ``positive`` clusters are labelled +1, the rest -1.
        noise: the standard deviation above, called alpha or sigma in the papers.
        scaling: ``"unit"`` or ``"sqrt_dim"``.
        rotated: centres in random orthonormal directions instead of on the axes.
        sizes: ``"balanced"`` (sample i is of cluster i mod clusters) or ``"random"``
            (each sample's cluster is uniform).

    Raises:
        InputError: for a count below 1, fewer dimensions than clusters, a class
            without a cluster, negative or undefined noise, an unknown scaling.

    References:
        min-vidal-2024, min-vidal-2025 (unit);
        frei-2023, li-2025-feature-averaging (sqrt_dim).
    """

    dim: int
    clusters: int
    positive: int
    noise: float | int
    scaling: str = "unit"
    rotated: bool = False
    sizes: str = "balanced"

    def __post_init__(self):
        positive_int("dim", self.dim)
        positive_int("clusters", self.clusters)
        if self.dim < self.clusters:
            raise InputError(
                f"dim={self.dim} with clusters={self.clusters}",
                "orthonormal centres need at least one dimension each",
                f"dim={self.clusters}",
            )
        # A count of 0 or of all is told of the classes, which says more.
        whole = isinstance(self.positive, int | np.integer)
        if whole and not 1 <= self.positive <= self.clusters - 1:
            raise InputError(
                f"positive={self.positive!r} with clusters={self.clusters}",
                "both classes need at least one cluster",
                f"positive={max(1, self.clusters // 2)}"
                + (" and clusters=2" if self.clusters == 1 else ""),
            )
        positive_int("positive", self.positive)
        nonnegative("noise", self.noise)
        object.__setattr__(self, "noise", float(self.noise))
        one_of("scaling", self.scaling, ("unit", "sqrt_dim"))
        one_of("sizes", self.sizes, ("balanced", "random"))

    @property
    def labels(self) -> np.ndarray:
        """+1 or -1 for each cluster."""
        return np.where(np.arange(self.clusters) < self.positive, 1.0, -1.0)

    @property
    def centre_norm(self) -> float:
        """The norm of every centre."""
        return 1.0 if self.scaling == "unit" else float(np.sqrt(self.dim))

    @property
    def noise_per_feature(self) -> float:
        """The factor between ``noise`` and the standard deviation of one feature."""
        return self.centre_norm / float(np.sqrt(self.dim))

    def centres(
        self, key: Key[Array, ""] | None = None, dtype: Any = None
    ) -> Float[Array, "cluster feature"]:
        """The cluster centres; ``key`` is needed only when they are rotated.

        Raises:
            InputError: when rotated centres are asked for without a key.
        """
        dtype = float_dtype(dtype)
        norm = jnp.asarray(self.centre_norm, dtype)
        if not self.rotated:
            return norm * jnp.eye(self.clusters, self.dim, dtype=dtype)
        if key is None:
            raise InputError(
                "rotated centres without a key",
                "their directions are random",
                "centres(jax.random.key(0))",
            )
        rotation = _draws.fold_in(key, _ROTATION)
        gauss = _draws.normal(rotation, (self.dim, self.clusters), jnp.float32)
        q, r = jnp.linalg.qr(gauss.astype(dtype))
        # The sign of the diagonal makes the directions uniform and the factor unique.
        return norm * (q * jnp.sign(jnp.diagonal(r))[None, :]).T

    def sample(
        self,
        samples: int,
        *,
        key: Key[Array, ""],
        noise: float | int | Real[Array, ""] | None = None,
        dtype: Any = None,
        centres: Float[Array, "cluster feature"] | None = None,
    ) -> Dataset:
        """Draw a dataset; sample i depends on ``fold_in(key, i)`` alone.

        Args:
            samples: how many; a multiple of ``clusters`` when sizes are balanced.
            key: consumed.
            noise: replaces the field, and may be traced.
            dtype: float32 or float64. Draws are made in float32 and cast, so that
                both precisions see the same problem.
            centres: replaces the centres drawn from ``key`` (a test set needs those of
                its training set when they are rotated).

        Raises:
            InputError: when ``samples`` is below 1 or cannot be balanced, and for
                negative or undefined noise.
        """
        positive_int("samples", samples)
        if self.sizes == "balanced" and samples % self.clusters:
            whole = -(-samples // self.clusters) * self.clusters
            raise InputError(
                f"samples={samples} over clusters={self.clusters}",
                "balanced clusters all have the same number of samples",
                f"samples={whole} or sizes='random'",
            )
        noise = self.noise if noise is None else noise
        nonnegative("noise", noise)
        dtype = float_dtype(dtype)
        index = jnp.arange(samples)
        random = self.sizes == "random"
        total = self.dim + (self.clusters if random else 0)

        gauss = gaussian_rows(key, samples, total)
        # The largest of independent numbers is a fair choice among the clusters.
        clusters = jnp.argmax(gauss[:, self.dim :], 1) if random else index
        return around(
            self.centres(key, dtype) if centres is None else centres,
            jnp.asarray(self.labels, dtype),
            clusters % self.clusters,
            jnp.asarray(noise).astype(dtype) * self.noise_per_feature,
            gauss[:, : self.dim],
        )


def gaussian_rows(
    key: Key[Array, ""], samples: int, length: int
) -> Float[Array, "sample number"]:
    """Standard Gaussian numbers in float32; row i depends on ``fold_in(key, i)``."""

    def draw(i):
        return _draws.normal(_draws.fold_in(key, i), (length,), jnp.float32)

    return jax.vmap(draw)(jnp.arange(samples))


def around(
    centres: Float[Array, "cluster feature"],
    centre_labels: Float[Array, " cluster"],
    clusters: Int[Array, " sample"],
    deviation: Float[Array, ""],
    gauss: Float[Array, "sample feature"],
) -> Dataset:
    """Samples of these clusters: centre plus ``deviation`` times a Gaussian row.

    Args:
        centres: of all clusters, in the precision of the result.
        centre_labels: +1 or -1 for each of them.
        clusters: of each sample.
        deviation: standard deviation of one feature.
        gauss: standard Gaussian numbers.
    """
    return Dataset(
        inputs=centres[clusters] + deviation * gauss.astype(centres.dtype),
        labels=centre_labels[clusters],
        clusters=clusters.astype(jnp.int32),
        centres=centres,
        centre_labels=centre_labels,
    )
