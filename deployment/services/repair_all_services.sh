#!/bin/sh
# repair_all_services.sh [OPTIONS]: sets right the components' services; see `message-broker service repair --help`.
exec "${MESSAGE_BROKER:-message-broker}" service repair all "$@"
