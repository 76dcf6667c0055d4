# Shared by the scripts that install Debian packages for optional tests; not a script of its own. Source it.

if ! command -v apt-get > /dev/null; then
  echo "there is no apt-get here: install $wanted by other means$otherwise" >&2
  exit 1
fi
as_root=()
if [[ $(id -u) -ne 0 ]]; then
  as_root=(sudo --non-interactive)
fi
export DEBIAN_FRONTEND=noninteractive
# A machine without a network should say so soon.
patience=(-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)

apt_update() {
  "${as_root[@]}" apt-get update -qq "${patience[@]}"
}

apt_install() {
  "${as_root[@]}" apt-get install -y -qq "${patience[@]}" --no-install-recommends "$@" > /dev/null
}
