#!/bin/sh
# generate_cert.sh NAME [DOMAIN] [DAYS]: a certificate and its key in MB_DATA_DIR; see `message-broker ca issue --help`.
exec "${MESSAGE_BROKER:-message-broker}" ca issue "$@"
