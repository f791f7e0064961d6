@echo off
rem generate_cert.bat NAME [DOMAIN] [DAYS]: a certificate and its key in MB_DATA_DIR; see message-broker ca issue --help.
if not defined MESSAGE_BROKER set "MESSAGE_BROKER=message-broker"
"%MESSAGE_BROKER%" ca issue %*
