#!/usr/bin/env bash
# From a bare Python 3.11 to 3.13 to verdicts and figures: the studies marked as main,
# at size quick. Arguments go to `jaxbias reproduce`, such as --size paper.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
environment cli,data

export JAX_PLATFORMS=${JAX_PLATFORMS:-cpu}
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-$PWD/.venv/jax-cache}
if [ $# -eq 0 ]; then
  set -- --all --size quick --out figures
fi
exec .venv/bin/jaxbias reproduce "$@"
