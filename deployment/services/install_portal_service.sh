#!/bin/sh
# install_portal_service.sh [OPTIONS]: installs the portal as a service; see `message-broker service install --help`.
exec "${MESSAGE_BROKER:-message-broker}" service install portal "$@"
