#!/usr/bin/env bash
# Fetches Debian's Open MPI and MPICH for the tests of @xmoe/distributed and unpacks them into .xmoe/mpi; installs nothing into the system and
# needs no root, unless the lists of packages must be fetched first. Optional: without an MPI those tests say why they did not run. Does
# nothing where both are there already. `source .xmoe/mpi/env.sh` makes a shell use them.
set -euo pipefail

target="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.xmoe/mpi"
if command -v mpirun.openmpi > /dev/null && command -v mpirun.mpich > /dev/null; then
  echo "found $(command -v mpirun.openmpi) and $(command -v mpirun.mpich)"
  exit 0
fi
if [[ -f "$target/env.sh" ]]; then
  echo "found $target/env.sh"
  exit 0
fi

wanted="Open MPI and MPICH" otherwise=""
source "$(dirname "${BASH_SOURCE[0]}")/lib/apt.sh"
missing() {
  # hwloc is a dependency of theirs that the system may have; what it has is not fetched.
  apt-get install --simulate --no-install-recommends openmpi-bin mpich 2> /dev/null | awk '/^Inst/ { print $2 }'
}
names=$(missing)
if [[ -z "$names" ]]; then
  apt_update
  names=$(missing)
fi
if [[ -z "$names" ]]; then
  echo "apt knows no openmpi-bin and mpich here" >&2
  exit 1
fi
work="$target.$$"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/packages" "$work/files"
(cd "$work/packages" && xargs apt-get download -qq "${patience[@]}" <<< "$names" 2> /dev/null)
for package in "$work"/packages/*.deb; do dpkg-deb --extract "$package" "$work/files"; done
rm -rf "$work/packages"

libraries=$(cd "$work/files" && dirname "$(find usr/lib -name libmpi.so.40)")
# A link that its package makes when it is installed.
for library in "$work"/files/usr/lib/libpsm1/*.so.*; do
  if [[ -f "$library" ]]; then ln -s "../libpsm1/$(basename "$library")" "$work/files/$libraries/libpsm_infinipath.so.1"; fi
done
# Both look for their parts where Debian would have put them, unless they are told.
cat > "$work/env.sh" << END
export PATH="$target/files/usr/bin:\$PATH"
export LD_LIBRARY_PATH="$target/files/$libraries:$target/files/$libraries/openmpi/lib:$target/files/lib/$(basename "$libraries")\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
export OPAL_PREFIX="$target/files/usr"
export OPAL_LIBDIR="$target/files/$libraries/openmpi/lib"
export OPAL_PKGLIBDIR="$target/files/$libraries/openmpi/lib/openmpi3"
export OPAL_SYSCONFDIR="$target/files/etc"
export OPAL_DATADIR="$target/files/usr/share"
export OPAL_PKGDATADIR="$target/files/usr/share/openmpi"
export PMIX_MCA_pcompress_base_silence_warning=1
END
rm -rf "$target"
mv "$work" "$target"
echo "unpacked into $target; source $target/env.sh to use them"
