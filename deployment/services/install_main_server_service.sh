#!/bin/sh
# install_main_server_service.sh [OPTIONS]: installs the main server as a service; see `message-broker service install --help`.
exec "${MESSAGE_BROKER:-message-broker}" service install main-server "$@"
