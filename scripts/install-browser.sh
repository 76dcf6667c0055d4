#!/usr/bin/env bash
# Installs the Chromium that test/browser.test.ts runs the packages in, on Debian and its relatives. Optional: without a
# Chromium those tests say why they did not run. Does nothing where there is one (or where XMOE_CHROMIUM names one).
set -euo pipefail

if [[ -n "${XMOE_CHROMIUM:-}" ]]; then
  echo "XMOE_CHROMIUM is $XMOE_CHROMIUM"
  exit 0
fi
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if found=$(command -v "$name"); then
    echo "found $found"
    exit 0
  fi
done

if ! command -v apt-get > /dev/null; then
  echo "there is no apt-get here: install Chromium by other means, or set XMOE_CHROMIUM=/path/to/chromium" >&2
  exit 1
fi
as_root=()
if [[ $(id -u) -ne 0 ]]; then
  as_root=(sudo --non-interactive)
fi
export DEBIAN_FRONTEND=noninteractive
# A machine without a network should say so soon.
patience=(-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
"${as_root[@]}" apt-get update -qq "${patience[@]}"
"${as_root[@]}" apt-get install -y -qq "${patience[@]}" --no-install-recommends chromium > /dev/null
command -v chromium
