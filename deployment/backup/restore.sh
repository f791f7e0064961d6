#!/bin/sh
# Puts a backup back: restore.sh PATH --yes, while the services are stopped; see docs/backup.md.
exec "${MESSAGE_BROKER:-message-broker}" backup restore "$@"
