# Installs the main server as a service; see message-broker service install --help.
# What follows -AppRoot is handed on, as in: -Arguments '--start'
param(
    [string]$AppRoot = (Split-Path -Parent (Split-Path -Parent $PSScriptRoot)),
    [string[]]$Arguments = @()
)
$ErrorActionPreference = 'Stop'
$Program = Join-Path $AppRoot 'bin\message-broker.exe'
if ($env:MESSAGE_BROKER) { $Program = $env:MESSAGE_BROKER }
& "$Program" --data-dir "$AppRoot" service install main-server @Arguments
exit $LASTEXITCODE
