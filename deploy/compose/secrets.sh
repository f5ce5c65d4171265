#!/bin/sh
# Makes the secrets that are missing in ./secrets; what is there stays as it is.
#
# The folder is for its owner only. The files in it can be read by whoever is given one: Compose
# mounts them as they are, and in its container Heliograph is user 10001.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets

secret() { # name, value
    [ -e "secrets/$1" ] && return
    printf '%s\n' "$2" > "secrets/$1"
    chmod 444 "secrets/$1"
    echo "made secrets/$1"
}

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

secret admin_token "$(random)"
secret master_key "$(random)"
secret postgres_password "$(random)"
secret database_url "postgresql://heliograph:$(cat secrets/postgres_password)@postgres/heliograph"
secret nats_password "$(random)"
secret queue_url "nats://heliograph:$(cat secrets/nats_password)@nats:4222"
secret nats_accounts "authorization { user: heliograph, password: \"$(cat secrets/nats_password)\" }"
