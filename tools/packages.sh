# Sourced by ./run and ./test: install what is missing of the Debian packages named, saying so.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "Please install these packages as root: ${missing[*]}" >&2; return 1; }
        as_root=(sudo)
    fi
    echo "Installing packages with apt: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

BUILD_PACKAGES=(build-essential cmake ninja-build pkg-config libmicrohttpd-dev libwebsockets-dev libjansson-dev
    libserialport-dev libsqlite3-dev zlib1g-dev libsodium-dev uthash-dev libunistring-dev)
# For ./test: unit tests, contract checks, the page in a real browser. The build of the tests needs cmocka.
TEST_PACKAGES=(libcmocka-dev python3 python3-yaml python3-jsonschema python3-jinja2 chromium chromium-driver)
