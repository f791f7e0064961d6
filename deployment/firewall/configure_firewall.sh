#!/bin/sh
# configure_firewall.sh [--monitoring CIDR] [--print | --remove]: opens the components' ports and closes those of the servers
# behind them, with ufw where it is active, else in a table of nftables of its own.
#   --monitoring CIDR  who may read the worker's metrics; nobody from elsewhere otherwise
#   --print            show the table for nftables and change nothing
#   --remove           take the rules away again
# A table is gone after a restart of the machine unless it stands in /etc/nftables.conf: put what --print shows there.
set -eu
monitoring=
action=apply
while [ $# -gt 0 ]; do
    case $1 in
        --monitoring) monitoring=${2:?--monitoring needs a network, such as 10.0.0.0/24}; shift ;;
        --print) action=print ;;
        --remove) action=remove ;;
        *) echo "there is no argument $1" >&2; exit 2 ;;
    esac
    shift
done

rules() {
    echo 'table inet message_broker {'
    echo '    chain input {'
    # Before the filters of others: what is refused here stays refused, what is accepted they may refuse still.
    echo '        type filter hook input priority -10; policy accept;'
    echo '        iif "lo" accept'
    echo '        tcp dport { 5000, 8000, 8001 } accept'
    case $monitoring in
        '') ;;
        *:*) echo "        ip6 saddr $monitoring tcp dport 9100 accept" ;;
        *) echo "        ip saddr $monitoring tcp dport 9100 accept" ;;
    esac
    echo '        tcp dport { 3306, 6379, 9100 } drop'
    echo '    }'
    echo '}'
}

with_ufw() {
    command -v ufw >/dev/null && ufw status | grep -q '^Status: active'
}

case $action in
    print) rules ;;
    remove)
        if with_ufw; then
            for port in 5000 8000 8001; do ufw delete allow "$port/tcp"; done
            for port in 3306 6379 9100; do ufw delete deny "$port/tcp"; done
            if [ -n "$monitoring" ]; then ufw delete allow from "$monitoring" to any port 9100 proto tcp; fi
        else
            nft delete table inet message_broker
        fi
        ;;
    apply)
        if with_ufw; then
            if [ -n "$monitoring" ]; then ufw allow from "$monitoring" to any port 9100 proto tcp; fi
            for port in 5000 8000 8001; do ufw allow "$port/tcp"; done
            for port in 3306 6379 9100; do ufw deny "$port/tcp"; done
        else
            # Made anew as a whole or not at all.
            { echo 'table inet message_broker {}'; echo 'delete table inet message_broker'; rules; } | nft -f -
        fi
        ;;
esac
