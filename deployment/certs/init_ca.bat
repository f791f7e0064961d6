@echo off
rem Makes the certificate authority, its revocation list and the components' certificates in MB_DATA_DIR.
if not defined MESSAGE_BROKER set "MESSAGE_BROKER=message-broker"
"%MESSAGE_BROKER%" ca init %*
