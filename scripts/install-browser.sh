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

wanted=Chromium otherwise=", or set XMOE_CHROMIUM=/path/to/chromium"
source "$(dirname "${BASH_SOURCE[0]}")/lib/apt.sh"
apt_update
apt_install chromium
command -v chromium
