#!/bin/sh
# Makes a backup of the installation in MB_DATA_DIR; see docs/backup.md.
exec "${MESSAGE_BROKER:-message-broker}" backup create "$@"
