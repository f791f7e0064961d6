# The checklist after an installation, an upgrade or a restore: see message-broker smoke-test --help.
# What follows -AppRoot is handed on, as in: -Arguments '--json'
param(
    [string]$AppRoot = (Split-Path -Parent (Split-Path -Parent $PSScriptRoot)),
    [string[]]$Arguments = @()
)
$ErrorActionPreference = 'Stop'
$Program = Join-Path $AppRoot 'bin\message-broker.exe'
if ($env:MESSAGE_BROKER) { $Program = $env:MESSAGE_BROKER }
& "$Program" --data-dir "$AppRoot" smoke-test @Arguments
exit $LASTEXITCODE
