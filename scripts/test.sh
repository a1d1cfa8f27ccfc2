#!/usr/bin/env bash
# Lint, types and tests, on a bare Python 3.11 to 3.13: `PYTHON=python3.12 bash scripts/test.sh`.
# Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
environment dev

export JAX_PLATFORMS=${JAX_PLATFORMS:-cpu}
.venv/bin/ruff check .
.venv/bin/ruff format --check .
# pyright's wheel fetches Node.js on its first run, which an offline machine cannot.
if .venv/bin/pyright --version >/dev/null 2>&1; then
  .venv/bin/pyright --pythonpath .venv/bin/python
else
  echo "types were not checked: pyright cannot start on this machine" >&2
fi
.venv/bin/python -m pytest -n "${TEST_WORKERS:-2}" --dist worksteal "$@"
