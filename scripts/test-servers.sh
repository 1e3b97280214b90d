#!/usr/bin/env bash
# Installs the real servers that some tests talk to (IRC, IMAP, SMTP, a container engine); those tests are skipped where they are missing.
# Wants root on Debian; elsewhere it only says what is missing.
set -euo pipefail
packages=(ngircd dovecot-imapd exim4-daemon-light docker.io busybox-static)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "test servers missing: ${missing[*]}; their tests will be skipped" >&2
  exit 0
fi
# Nothing is started: each test runs its own server with its own configuration.
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
made=no
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  made=yes
fi
trap '[ "$made" = no ] || rm -f "$policy"' EXIT
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
