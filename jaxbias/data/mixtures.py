"""Gaussian mixtures of the feature-averaging literature, and departures from them."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Real

from jaxbias._checks import InputError, at_least, nonnegative, positive_int
from jaxbias._precision import float_dtype
from jaxbias.data.clusters import OrthonormalClusters, around, gaussian_rows
from jaxbias.data.dataset import Dataset


@dataclass(frozen=True)
class ClusterMixture:
    r"""$x = \mu_k + \xi$, $\xi \sim N(0, \sigma^2 I)$, $\|\mu_k\| = s_k\sqrt D$.

    With the defaults it is ``OrthonormalClusters(..., noise=1.0, scaling="sqrt_dim")``,
    draw for draw. Norms, sizes and angles may differ from that.

    Attributes:
        dim: input dimension D, at least ``clusters``.
        clusters: number of clusters.
        positive: the first ``positive`` clusters are labelled +1, the rest -1.
        noise: $\sigma$, the standard deviation of one feature.
        norms: $s_k$, one for all clusters or one for each.
        shares: relative sizes of the clusters; equal when left out.
        overlap: cosine between any two centres, in [0, 1); 0 is orthogonal.
        rotated: centres in random directions instead of those of the axes.

    Raises:
        InputError: for a count below 1, fewer dimensions than clusters, a class
            without a cluster, negative or undefined noise, norms or shares that are
            not positive or not one a cluster, an overlap outside [0, 1).

    References:
        li-2025-feature-averaging, definition 3.1, assumptions 3.2 and 3.3; norms and
        near orthogonality as in their code.
    """

    dim: int
    clusters: int
    positive: int
    noise: float | int = 1.0
    norms: float | int | tuple[float | int, ...] = 1.0
    shares: tuple[float | int, ...] | None = None
    overlap: float | int = 0.0
    rotated: bool = False

    def __post_init__(self):
        object.__setattr__(self, "noise", self._directions.noise)
        if isinstance(self.norms, tuple):
            object.__setattr__(self, "norms", self._positive("norms", self.norms))
        else:
            object.__setattr__(self, "norms", self._positive("norms", [self.norms])[0])
        if self.shares is not None:
            object.__setattr__(self, "shares", self._positive("shares", self.shares))
        at_least("overlap", self.overlap, 0.0)
        if self.overlap >= 1:
            raise InputError(
                f"overlap={self.overlap!r}",
                "at cosine 1 all centres would point the same way",
                "overlap=0.1",
            )
        object.__setattr__(self, "overlap", float(self.overlap))

    def _positive(self, name: str, numbers: Any) -> tuple[float, ...]:
        if isinstance(numbers, tuple) and len(numbers) != self.clusters:
            raise InputError(
                f"{name} of {len(numbers)} numbers with clusters={self.clusters}",
                "there is one for each cluster",
                f"{name}=(1.0,) * {self.clusters}",
            )
        for number in numbers:
            at_least(name, number, 0.0)
            if number == 0:
                raise InputError(
                    f"{name}={getattr(self, name)!r}",
                    "a cluster needs a centre off the origin and some samples",
                    f"{name}=(1.0,) * {self.clusters}",
                )
        return tuple(float(number) for number in numbers)

    @property
    def _directions(self) -> OrthonormalClusters:
        """The model with all departures left out, whose draws this one shares."""
        return OrthonormalClusters(
            self.dim,
            self.clusters,
            self.positive,
            self.noise,
            scaling="sqrt_dim",
            rotated=self.rotated,
        )

    @property
    def labels(self) -> np.ndarray:
        """+1 or -1 for each cluster."""
        return self._directions.labels

    @property
    def centre_norms(self) -> np.ndarray:
        r"""$s_k\sqrt D$, the norm of each centre."""
        return np.broadcast_to(self.norms, self.clusters) * np.sqrt(self.dim)

    @property
    def noise_per_feature(self) -> float:
        """1: ``noise`` is the standard deviation of one feature."""
        return self._directions.noise_per_feature

    def centres(
        self, key: Key[Array, ""] | None = None, dtype: Any = None
    ) -> Float[Array, "cluster feature"]:
        r"""The cluster centres; ``key`` is needed only when they are rotated.

        From orthonormal $e_k$ the directions are $\sqrt{1-c}\,e_k + b\sum_l e_l$ with
        $b = (\sqrt{1-c+Kc} - \sqrt{1-c})/K$ at overlap c.

        Raises:
            InputError: when rotated centres are asked for without a key.
        """
        centres = self._directions.centres(key, dtype)
        if self.overlap:
            own = np.sqrt(1 - self.overlap)
            far = np.sqrt(own**2 + self.clusters * self.overlap) - own
            mean = jnp.mean(centres, axis=0, keepdims=True)
            centres = float(own) * centres + float(far) * mean
        norms = np.broadcast_to(self.norms, self.clusters)
        return jnp.asarray(norms, centres.dtype)[:, None] * centres

    def counts(self, samples: int) -> np.ndarray:
        """Samples of each cluster: by its share, rounded by largest remainders.

        Raises:
            InputError: when ``samples`` is below 1 or leaves a cluster without any.
        """
        positive_int("samples", samples)
        shares = np.ones(self.clusters) if self.shares is None else self.shares
        exact = samples * np.asarray(shares) / np.sum(shares)
        counts = np.floor(exact + 1e-9).astype(int)
        order = np.argsort(counts - exact, kind="stable")
        counts[order[: samples - counts.sum()]] += 1
        if counts.min() == 0:
            enough = int(np.ceil(np.sum(shares) / np.min(shares)))
            raise InputError(
                f"samples={samples} over clusters={self.clusters}",
                "the smallest cluster would be empty",
                f"samples={enough}",
            )
        return counts

    def sample(
        self,
        samples: int,
        *,
        key: Key[Array, ""],
        noise: float | int | Real[Array, ""] | None = None,
        dtype: Any = None,
        centres: Float[Array, "cluster feature"] | None = None,
    ) -> Dataset:
        """Draw a dataset; the noise of sample i depends on ``fold_in(key, i)`` alone.

        Clusters are dealt out evenly along the samples, in turn where their sizes are
        equal.

        Args:
            samples: how many; see :meth:`counts`.
            key: consumed.
            noise: replaces the field, and may be traced.
            dtype: float32 or float64. Draws are made in float32 and cast.
            centres: replaces the centres drawn from ``key``.

        Raises:
            InputError: when a cluster would have no sample, and for negative or
                undefined noise.
        """
        counts = self.counts(samples)
        noise = self.noise if noise is None else noise
        nonnegative("noise", noise)
        dtype = float_dtype(dtype)
        owners = np.repeat(np.arange(self.clusters), counts)
        places = np.concatenate([(np.arange(n) + 0.5) / n for n in counts])
        return around(
            self.centres(key, dtype) if centres is None else centres,
            jnp.asarray(self.labels, dtype),
            jnp.asarray(owners[np.lexsort((owners, places))], jnp.int32),
            jnp.asarray(noise).astype(dtype) * self.noise_per_feature,
            gaussian_rows(key, samples, self.dim),
        )
