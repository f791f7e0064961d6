#!/bin/sh
# uninstall_all_services.sh [OPTIONS]: stops and removes the components' services; see `message-broker service uninstall --help`.
exec "${MESSAGE_BROKER:-message-broker}" service uninstall all "$@"
