#!/bin/sh
# Lets systemd judge the units, as if the program that is named stood where they look for it.
#
#   deploy/systemd/verify.sh .venv/bin/heliograph
set -eu
program=$(realpath "$1")
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for unit in *.service; do
    sed "s#^ExecStart=/opt/heliograph/bin/heliograph#ExecStart=$program#" "$unit" > "$folder/$unit"
done
# A template is judged by one of its instances.
cp "$folder/heliograph-api@.service" "$folder/heliograph-api@8040.service"
cp "$folder/heliograph-worker@.service" "$folder/heliograph-worker@8050.service"

said=$(systemd-analyze verify "$folder/heliograph.service" "$folder/heliograph-migrate.service" \
    "$folder/heliograph-api@8040.service" "$folder/heliograph-worker@8050.service" 2>&1) || true
if [ -n "$said" ]; then
    echo "$said"
    exit 1
fi
for unit in heliograph heliograph-migrate heliograph-api@8040 heliograph-worker@8050; do
    # A tenth of a point: 20 is 2.0, "OK".
    systemd-analyze security --offline=true --threshold=20 --no-pager "$folder/$unit.service" | tail -n 1
done

mkdir -p "$folder/root/etc"
cp /etc/passwd /etc/group "$folder/root/etc"
systemd-sysusers --root="$folder/root" "$PWD/heliograph.sysusers"
systemd-tmpfiles --root="$folder/root" --create "$PWD/heliograph.tmpfiles"
grep -q '^heliograph:' "$folder/root/etc/passwd"
[ "$(stat -c %a "$folder/root/etc/heliograph/credentials")" = 700 ]
echo "units, user and folders are as systemd would have them"
