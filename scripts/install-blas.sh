#!/usr/bin/env bash
# Installs the OpenBLAS that the tests of cpu:native run on, from PyPI, into .xmoe/blas. Optional: without a library those tests say why they
# did not run. Does nothing where one is there already, or where XMOE_BLAS names one; a library of the system is found by the tests without it.
set -euo pipefail

if [[ -n "${XMOE_BLAS:-}" ]]; then
  echo "XMOE_BLAS is $XMOE_BLAS"
  exit 0
fi
target="$(dirname "${BASH_SOURCE[0]}")/../.xmoe/blas"
if [[ ! -d "$target/scipy_openblas32" ]]; then
  if ! command -v python3 > /dev/null || ! python3 -m pip --version > /dev/null 2>&1; then
    echo "there is no pip here: install OpenBLAS by other means (apt install libopenblas0)" >&2
    exit 1
  fi
  # A machine without a network should say so soon.
  python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --root-user-action ignore --retries 1 --timeout 20 \
    --only-binary :all: --target "$target" scipy-openblas32
fi
ls "$target"/scipy_openblas32/lib/libscipy_openblas.*
