#!/bin/sh
# install_worker_service.sh [OPTIONS]: installs the worker as a service; see `message-broker service install --help`.
exec "${MESSAGE_BROKER:-message-broker}" service install worker "$@"
