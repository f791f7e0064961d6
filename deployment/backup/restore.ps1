# Puts a backup back: restore.ps1 PATH --yes, while the services are stopped; see docs/backup.md.
param(
    [Parameter(Mandatory = $true, Position = 0)]
    [string]$Path,
    [string]$AppRoot = 'C:\MessageBroker'
)
$ErrorActionPreference = 'Stop'
$broker = $env:MESSAGE_BROKER
if (-not $broker) { $broker = Join-Path $AppRoot 'message-broker.exe' }
& $broker --data-dir $AppRoot backup restore $Path @args
exit $LASTEXITCODE
