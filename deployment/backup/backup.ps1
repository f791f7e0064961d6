# Makes a backup of the installation in AppRoot; see docs/backup.md.
param(
    [string]$AppRoot = 'C:\MessageBroker'
)
$ErrorActionPreference = 'Stop'
$broker = $env:MESSAGE_BROKER
if (-not $broker) { $broker = Join-Path $AppRoot 'message-broker.exe' }
& $broker --data-dir $AppRoot backup create @args
exit $LASTEXITCODE
