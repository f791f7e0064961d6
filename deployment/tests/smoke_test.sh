#!/bin/sh
# The checklist after an installation, an upgrade or a restore: see `message-broker smoke-test --help`.
# MESSAGE_BROKER names another program than the one in PATH.
exec "${MESSAGE_BROKER:-message-broker}" smoke-test "$@"
