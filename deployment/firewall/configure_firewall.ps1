# Opens the ports of the components and closes those of the servers behind them, as the deployment guide says.
# -Monitoring: who may read the worker's metrics, such as 10.0.0.0/24; nobody from elsewhere otherwise.
# -Remove: takes the rules away again.
param(
    [string[]]$Monitoring = @(),
    [switch]$Remove
)
$ErrorActionPreference = 'Stop'
$Group = 'Message Broker'

Get-NetFirewallRule -Group "$Group" -ErrorAction SilentlyContinue | Remove-NetFirewallRule
if ($Remove) { exit 0 }

New-NetFirewallRule -Group "$Group" -DisplayName 'Message Broker - Main Server' -Direction Inbound -LocalPort 8000 -Protocol TCP -Action Allow | Out-Null
New-NetFirewallRule -Group "$Group" -DisplayName 'Message Broker - Proxy' -Direction Inbound -LocalPort 8001 -Protocol TCP -Action Allow | Out-Null
New-NetFirewallRule -Group "$Group" -DisplayName 'Message Broker - Portal' -Direction Inbound -LocalPort 5000 -Protocol TCP -Action Allow | Out-Null
if ($Monitoring.Count -gt 0) {
    New-NetFirewallRule -Group "$Group" -DisplayName 'Message Broker - Metrics' -Direction Inbound -LocalPort 9100 -Protocol TCP -RemoteAddress $Monitoring -Action Allow | Out-Null
}
New-NetFirewallRule -Group "$Group" -DisplayName 'Block MySQL External' -Direction Inbound -LocalPort 3306 -Protocol TCP -Action Block | Out-Null
New-NetFirewallRule -Group "$Group" -DisplayName 'Block Redis External' -Direction Inbound -LocalPort 6379 -Protocol TCP -Action Block | Out-Null
exit 0
