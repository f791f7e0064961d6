#!/bin/sh
# status_all_services.sh [OPTIONS]: shows the components' services; see `message-broker service status --help`.
exec "${MESSAGE_BROKER:-message-broker}" service status all "$@"
