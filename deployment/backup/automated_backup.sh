#!/bin/sh
# Makes a backup and proves it, for cron or a timer where the built-in daily backup is off (MB_BACKUP__ENABLED=false).
set -eu
broker="${MESSAGE_BROKER:-message-broker}"
backup=$("$broker" backup create "$@")
"$broker" backup verify "$backup"
