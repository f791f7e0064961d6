#!/bin/sh
# install_proxy_service.sh [OPTIONS]: installs the proxy as a service; see `message-broker service install --help`.
exec "${MESSAGE_BROKER:-message-broker}" service install proxy "$@"
