#!/bin/sh
# What tests need from the system: installed where that may be done, named where it may not.
# Usage: scripts/system.sh    Exit code 1 if something is still missing in the end.

cd "$(dirname "$0")/.." || exit 1
# The proxies of the how-to come as programs alone: installed, their packages would start servers on ports 80 and 443.
UNPACKED=.programs

missing() {
  # strace exists on Linux only; one journey watches the fsyncs of an upload with it.
  [ "$(uname -s)" != Linux ] || command -v strace >/dev/null || echo strace
  command -v chromium >/dev/null || echo chromium
  command -v chromedriver >/dev/null || echo chromium-driver
  # Kafka itself runs in the tests: on Java 17 or later, fetched by Maven.
  java_version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
  [ "${java_version:-0}" -ge 17 ] || echo default-jre-headless
  command -v mvn >/dev/null || echo maven
  for proxy in nginx caddy; do
    [ "$(uname -s)" != Linux ] ||
      PATH=$PATH:/usr/sbin:$UNPACKED/usr/sbin:$UNPACKED/usr/bin command -v $proxy >/dev/null || echo $proxy
  done
}

unpack() (
  mkdir -p "$UNPACKED" && cd "$UNPACKED" || exit 1
  apt-get download -qq "$1" && dpkg-deb -x "$1"_*.deb . && rm "$1"_*.deb
)

wanted=$(missing)
if [ -n "$wanted" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing what the tests need: $(echo $wanted)"
  apt-get update -qq >/dev/null 2>&1
  for name in $wanted; do
    case $name in
      nginx | caddy) unpack "$name" ;;
      *) DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$name" ;;
    esac >/dev/null 2>&1
  done
  wanted=$(missing)
fi
for name in $wanted; do
  echo "$name is missing: install it (on Debian: apt-get install $name)" >&2
done
[ -z "$wanted" ]
