# Sourced by the other scripts: `environment EXTRAS` makes .venv beside the code with
# what constraints.txt pins, and does nothing when that has been done already.

environment() {
  local extras=$1 python=${PYTHON:-python3} version digest
  local ours=.venv/made-by-jaxbias stamp=.venv/installed-${1//,/-}
  if ! version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])'); then
    echo "got: PYTHON=$python, which does not run; try PYTHON=python3.11 bash $0" >&2
    return 2
  fi
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "got: $python is Python $version, and jaxbias needs 3.11 or newer;" \
      "try PYTHON=python3.11 bash $0" >&2
    return 2
  fi
  if [ -e .venv ] && [ ! -e "$ours" ]; then
    echo "got: a .venv that these scripts did not make, so they leave it alone;" \
      "try moving it away, or install into it: pip install -e '.[$extras]'" >&2
    return 2
  fi
  if [ "$(cat "$ours" 2>/dev/null)" != "$version" ]; then
    echo "making .venv with Python $version" >&2
    rm -rf .venv
    mkdir .venv
    : >"$ours"
    if ! "$python" -m venv .venv; then
      echo "got: $python cannot make a virtual environment (its venv or ensurepip" \
        "is missing); try PYTHON= with another interpreter, or install python3-venv" >&2
      return 2
    fi
    echo "$version" >"$ours"
  fi
  # The folder is in the digest: an editable install points at it.
  digest=$(.venv/bin/python -c 'import hashlib, pathlib
parts = [str(pathlib.Path.cwd()).encode()]
parts += [pathlib.Path(p).read_bytes() for p in ("constraints.txt", "pyproject.toml")]
print(hashlib.sha256(b"\0".join(parts)).hexdigest())')
  if [ "$(cat "$stamp" 2>/dev/null)" != "$digest" ]; then
    echo "installing jaxbias[$extras] into .venv" >&2
    .venv/bin/python -m pip install -q --disable-pip-version-check \
      -c constraints.txt -e ".[$extras]" || return
    echo "$digest" >"$stamp"
  fi
}
