#!/bin/bash
# Makes ready what building for Windows here takes: the toolchain's own standard library as source, from the Debian package of
# the same version, and a Wine prefix with the one library that Rust programs want and Wine 8 lacks. Its registry is kept beside
# it as it is at first, for tests to begin with. Compiler, Wine and wixl are Debian packages and here already.
# usage: windows.sh FOLDER (as root)
set -euo pipefail
umask 022
folder=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rm -f "$folder/ready"
version=$(rustc --version | cut -d' ' -f2)
source=$(rustc --print sysroot)/lib/rustlib/src/rust
if [ ! -f "$source/library/Cargo.lock" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work"/{l/partial,p,e}
    : >"$work/status"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Created-By: Packages' | sort -u | grep -v security | head -1)
    for suite in trixie-backports trixie sid; do
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
    done >"$work/sources.list"
    options=(
        -o "Dir::Etc::sourcelist=$work/sources.list" -o "Dir::Etc::sourceparts=$work/e"
        -o "Dir::State::lists=$work/l" -o "Dir::State::status=$work/status" -o APT::Sandbox::User=root
    )
    apt-get "${options[@]}" update --quiet >/dev/null
    package=$(apt-cache "${options[@]}" madison rust-src | awk -v v="$version" 'index($3, v "+") == 1 { print $3; exit }')
    if [ -z "$package" ]; then
        echo "Debian has no rust-src $version" >&2
        exit 1
    fi
    (cd "$work" && apt-get "${options[@]}" download --quiet "rust-src=$package" >/dev/null && dpkg-deb -x rust-src_*.deb x)
    mkdir -p "$source"
    cp -a "$work/x/usr/src/rustc-$version/library" "$source/"
fi
export WINEPREFIX=$folder/wine WINEARCH=win64 WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml="
unset DISPLAY
if [ ! -d "$WINEPREFIX/drive_c/windows/system32" ]; then
    timeout 300 wine wineboot --init >/dev/null 2>&1
    timeout 60 wineserver -w
    mkdir -p "$folder/registry"
    cp "$WINEPREFIX"/*.reg "$folder/registry/"
fi
x86_64-w64-mingw32-gcc-posix -shared -s -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" \
    "$here/bcryptprimitives.c" -ladvapi32
touch "$folder/ready"
