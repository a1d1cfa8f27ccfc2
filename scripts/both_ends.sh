#!/usr/bin/env bash
# The tests on both ends of the supported range, each in a copy of its own:
# `bash scripts/both_ends.sh python3.11 python3.13` names other interpreters.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then
  set -- python3.11 python3.13
fi
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
for python in "$@"; do
  # What git knows or would add; a virtual environment stays behind.
  mkdir "$place/copy"
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    if [ -e "$file" ]; then
      mkdir -p "$place/copy/$(dirname "$file")"
      cp -p "$file" "$place/copy/$file"
    fi
  done
  echo "tests on $("$python" --version)" >&2
  PYTHON=$python bash "$place/copy/scripts/test.sh"
  rm -rf "$place/copy"
done
