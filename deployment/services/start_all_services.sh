#!/bin/sh
# start_all_services.sh [OPTIONS]: starts the components' services; see `message-broker service start --help`.
exec "${MESSAGE_BROKER:-message-broker}" service start all "$@"
