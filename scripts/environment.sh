# Sourced by the other scripts: `environment EXTRAS` makes .venv beside the code with
# what constraints.txt pins, and does nothing when that has been done already.

environment() {
  local extras=$1 python=${PYTHON:-python3} version stamp
  if ! version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])'); then
    echo "got: PYTHON=$python, which does not run; try PYTHON=python3.11 bash $0" >&2
    return 2
  fi
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "got: $python is Python $version, and jaxbias needs 3.11 or newer;" \
      "try PYTHON=python3.11 bash $0" >&2
    return 2
  fi
  stamp=.venv/installed-${extras//,/-}
  if [ "$(cat .venv/version 2>/dev/null)" != "$version" ] || [ ! -x .venv/bin/python ]; then
    echo "making .venv with Python $version" >&2
    if ! "$python" -m venv --clear .venv; then
      echo "got: $python cannot make a virtual environment (its venv or ensurepip" \
        "module is missing); try PYTHON= another interpreter, or install its venv package" >&2
      return 2
    fi
    echo "$version" >.venv/version
  fi
  # The folder is in the digest: an editable install points at it.
  local digest
  digest=$(.venv/bin/python - <<'PY'
import hashlib, os
seen = hashlib.sha256(os.getcwd().encode())
for name in ("constraints.txt", "pyproject.toml"):
    seen.update(open(name, "rb").read())
print(seen.hexdigest())
PY
  )
  if [ "$(cat "$stamp" 2>/dev/null)" != "$digest" ]; then
    echo "installing jaxbias[$extras] into .venv" >&2
    .venv/bin/python -m pip install -q --disable-pip-version-check \
      -c constraints.txt -e ".[$extras]" || return
    echo "$digest" >"$stamp"
  fi
}
