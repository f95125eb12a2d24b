# Sourced by the scripts beside it, from any directory: the working directory becomes ROOT; make_venv makes .venv ready.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USER=0
unset PYTHONHOME PYTHONPATH

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

is_usable_python() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
    if is_usable_python "$candidate"; then
      printf '%s' "$candidate"
      return
    fi
  done
  fail "Carillon needs Python 3.11 or newer with venv and pip; none was found on PATH." \
    "On Debian or Ubuntu: apt-get install python3-venv. Elsewhere set PYTHON to the interpreter to use."
}

# Programs in .venv know its path, so a moved checkout needs a new one.
has_venv() {
  .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 &&
    { [[ ! -f .venv/.root ]] || [[ "$(cat .venv/.root)" == "$ROOT" ]]; }
}

hash_of() {
  .venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"
}

# make_venv FILE [FILE…]: .venv has what the first FILE pins. Does nothing when one of them is what was installed last.
make_venv() {
  local stamp=.venv/.installed python requirements
  if ! has_venv; then
    python="$(find_python)"
    echo "Making .venv with $("$python" --version) …"
    # What a link leads to belongs to another checkout.
    if [[ -L .venv ]]; then rm .venv; fi
    "$python" -m venv --clear .venv || fail "The virtual environment could not be made (see above)."
    printf '%s' "$ROOT" >.venv/.root
  fi
  for requirements in "$@"; do
    if grep -qxF "$(hash_of "$requirements")" "$stamp" 2>/dev/null; then
      return
    fi
  done
  echo "Installing $1 …"
  rm -f "$stamp"
  .venv/bin/python -m pip install -qq --require-hashes -r "$1" ||
    fail "Installing $1 failed (see above): is a package index reachable, and has it wheels for this platform?"
  hash_of "$1" >"$stamp"
}
