#!/bin/sh
# stop_all_services.sh [OPTIONS]: drains and stops the components' services; see `message-broker service stop --help`.
exec "${MESSAGE_BROKER:-message-broker}" service stop all "$@"
