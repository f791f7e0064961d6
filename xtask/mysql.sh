#!/bin/bash
# Unpacks the MySQL of Debian's unstable into a folder, from which `chroot FOLDER/root mysqld` runs: Debian's stable has
# MariaDB alone. What it finds there moves on; the tests that need it say what they ran on.
# usage: mysql.sh FOLDER (as root)
set -euo pipefail
umask 022
folder=$(mkdir -p "$1" && cd "$1" && pwd)
rm -rf "$folder/ready" "$folder/root" "$folder/apt"
mkdir -p "$folder"/{apt/l/partial,apt/a/partial,apt/e,root}
: >"$folder/apt/status"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Created-By: Packages' | sort -u | grep -v security | head -1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$folder/apt/sources.list"
options=(
    -o "Dir::Etc::sourcelist=$folder/apt/sources.list" -o "Dir::Etc::sourceparts=$folder/apt/e"
    -o "Dir::State::lists=$folder/apt/l" -o "Dir::State::status=$folder/apt/status"
    -o "Dir::Cache::archives=$folder/apt/a" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o APT::Sandbox::User=root -o Acquire::Languages=none -o Debug::NoLocking=1
)
apt-get "${options[@]}" update --quiet >/dev/null
apt-get "${options[@]}" install --quiet --yes --download-only --no-install-recommends \
    mysql-server-core mysql-client-core base-files bash coreutils >/dev/null
root=$folder/root
mkdir -p "$root"/usr/{lib,lib64,bin,sbin}
for link in lib lib64 bin sbin; do ln -s "usr/$link" "$root/$link"; done
for package in "$folder"/apt/a/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar --extract --keep-directory-symlink --directory "$root"
done
mkdir -p "$root"/{tmp,run/mysqld,var/lib/mysql,dev,proc}
chmod 1777 "$root/tmp"
printf 'root:x:0:0::/:/bin/sh\nmysql:x:102:105::/:/bin/false\n' >"$root/etc/passwd"
[ -e "$root/dev/null" ] || mknod -m 666 "$root/dev/null" c 1 3
[ -e "$root/dev/urandom" ] || mknod -m 666 "$root/dev/urandom" c 1 9
rm -rf "$folder/apt"
touch "$folder/ready"
