#!/bin/sh
# install_all_services.sh [OPTIONS]: installs the four components as services; see `message-broker service install --help`.
exec "${MESSAGE_BROKER:-message-broker}" service install all "$@"
