#!/usr/bin/env bash
# Installs a software adapter (Mesa's lavapipe) that the WebGPU tests run on where there is no GPU, on Debian and its relatives.
# Optional: without an adapter those tests say why they did not run. Mesa must be 25 or newer: older ones lack a feature that
# WebGPU needs, so Debian 12 takes it from its backports. Does nothing where a Vulkan driver new enough is there.
set -euo pipefail

mesa_version() {
  dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2> /dev/null || true
}
new_enough() {
  [[ -n "$1" ]] && dpkg --compare-versions "$1" ge 25
}

wanted="a Vulkan driver (Mesa 25 or newer)" otherwise=""
source "$(dirname "${BASH_SOURCE[0]}")/lib/apt.sh"
if new_enough "$(mesa_version)"; then
  echo "found Mesa $(mesa_version)"
  exit 0
fi
apt_update
candidate=$(apt-cache policy mesa-vulkan-drivers | awk '/Candidate:/ { print $2 }')
if new_enough "$candidate"; then
  apt_install mesa-vulkan-drivers libvulkan1
else
  # The backports of this release, from wherever its packages come from.
  release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  uri=$(grep -hs -m1 -oE '^URIs: *[^ ]+|^deb +(\[[^]]*\] +)?[^ ]+' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list | head -n1 | grep -oE '[a-z+]+:[^ ]+$' || true)
  key=$(grep -hs -m1 -oE '^Signed-By: *[^ ]+' /etc/apt/sources.list.d/debian.sources | awk '{ print $2 }' || true)
  if [[ -z "$release" || -z "$uri" ]]; then
    echo "mesa-vulkan-drivers is $candidate here, 25 or newer is needed: install a newer Mesa by other means" >&2
    exit 1
  fi
  options="${key:+[signed-by=$key] }"
  echo "deb $options$uri $release-backports main" | "${as_root[@]}" tee /etc/apt/sources.list.d/xmoe-backports.list > /dev/null
  apt_update
  apt_install -t "$release-backports" mesa-vulkan-drivers libvulkan1
fi
echo "installed Mesa $(mesa_version)"
