#!/bin/sh
# Makes the certificate authority, its revocation list and the components' certificates in MB_DATA_DIR.
exec "${MESSAGE_BROKER:-message-broker}" ca init "$@"
