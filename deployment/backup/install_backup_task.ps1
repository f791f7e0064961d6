# Registers a daily task for automated_backup.ps1 and switches the built-in daily backup off: one of both is enough.
# Run as administrator, then restart the main server, which reads its settings as it starts.
param(
    [string]$BackupRoot = 'C:\Backups\MessageBroker',
    [string]$AppRoot = 'C:\MessageBroker',
    [ValidateRange(1, 3650)]
    [int]$RetentionDays = 30
)
$ErrorActionPreference = 'Stop'

# The settings of backups, in place of those that stand in .env.
$settings = Join-Path $AppRoot '.env'
$lines = @()
if (Test-Path -LiteralPath $settings) {
    $lines = @(Get-Content -LiteralPath $settings | Where-Object { $_ -notmatch '^\s*MB_BACKUP__(ENABLED|DIR|KEEP_DAYS)\s*=' })
}
$lines += 'MB_BACKUP__ENABLED=false'
$lines += "MB_BACKUP__DIR=$BackupRoot"
$lines += "MB_BACKUP__KEEP_DAYS=$RetentionDays"
[System.IO.File]::WriteAllLines($settings, [string[]]$lines)

$script = Join-Path $PSScriptRoot 'automated_backup.ps1'
$arguments = "-NoProfile -NonInteractive -ExecutionPolicy Bypass -File `"$script`" -AppRoot `"$AppRoot`""
$action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument $arguments
$trigger = New-ScheduledTaskTrigger -Daily -At '02:00'
$principal = New-ScheduledTaskPrincipal -UserId 'SYSTEM' -LogonType ServiceAccount -RunLevel Highest
$options = New-ScheduledTaskSettingsSet -StartWhenAvailable -MultipleInstances IgnoreNew
Register-ScheduledTask -TaskName 'MessageBroker Backup' -Action $action -Trigger $trigger -Principal $principal -Settings $options -Force | Out-Null

if (-not ($lines -match '^\s*MB_BACKUP__(PASSPHRASE|PASSPHRASE_FILE|KEY_FILE)\s*=')) {
    Write-Warning "Nothing seals backups yet: set MB_BACKUP__PASSPHRASE_FILE or MB_BACKUP__KEY_FILE in $settings"
}
Write-Output "Daily at 02:00 into $BackupRoot, kept for $RetentionDays days. Restart MessageBrokerMainServer."
