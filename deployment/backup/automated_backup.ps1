# Makes a backup and proves it: what the task of install_backup_task.ps1 runs.
param(
    [string]$AppRoot = 'C:\MessageBroker'
)
$ErrorActionPreference = 'Stop'
$broker = $env:MESSAGE_BROKER
if (-not $broker) { $broker = Join-Path $AppRoot 'message-broker.exe' }
$backup = & $broker --data-dir $AppRoot backup create
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
& $broker --data-dir $AppRoot backup verify $backup
exit $LASTEXITCODE
