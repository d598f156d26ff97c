#!/bin/sh
# What tests need from the system: installed where that may be done, named where it may not.
# Usage: scripts/system.sh    Exit code 1 if something is still missing in the end.

missing() {
  # strace exists on Linux only; one journey watches the fsyncs of an upload with it.
  [ "$(uname -s)" != Linux ] || command -v strace >/dev/null || echo strace
  command -v chromium >/dev/null || echo chromium
  command -v chromedriver >/dev/null || echo chromium-driver
}

wanted=$(missing)
if [ -n "$wanted" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing what the tests need: $(echo $wanted)"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $wanted; } \
    >/dev/null 2>&1
  wanted=$(missing)
fi
for name in $wanted; do
  echo "$name is missing: install it (on Debian: apt-get install $name)" >&2
done
[ -z "$wanted" ]
