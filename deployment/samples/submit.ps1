# Submits one message from Windows PowerShell 5.1 and prints the answer (read by a parser, not run where it was written):
#   'text' | .\submit.ps1 -Number '+4915112345678' -Pfx till-1.p12 -Url https://broker.example.com:8001
# The certificate and its key come as PKCS#12 (message-broker ca issue till-1 --p12); its password is asked for. The
# authority's certificate has to be trusted once: Import-Certificate -FilePath ca.crt -CertStoreLocation Cert:\CurrentUser\Root
# Exit code 0: the message is on the proxy's disk; 1: it was refused; 3: nobody took it in time. What passes (no answer,
# 408, 429, 500 to 504) is tried again under the same Idempotency-Key, after Retry-After where the answer has it.
param(
    [Parameter(Mandatory = $true)][string]$Number,
    [Parameter(Mandatory = $true, ValueFromPipeline = $true)][string]$Text,
    [Parameter(Mandatory = $true)][string]$Pfx,
    [Security.SecureString]$Password = (Read-Host -AsSecureString 'Password of the certificate'),
    [string]$Url = 'https://localhost:8001',
    [string]$Topic = 'default',
    [string]$IdempotencyKey = [Guid]::NewGuid().ToString(),
    [int]$GiveUpAfter = 300
)
$ErrorActionPreference = 'Stop'
[Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
[Net.ServicePointManager]::Expect100Continue = $false
$Path = (Resolve-Path -Path $Pfx).ProviderPath
$Certificate = New-Object Security.Cryptography.X509Certificates.X509Certificate2 -ArgumentList $Path, $Password
$Json = ConvertTo-Json -Compress @{ sender_number = $Number; message_body = "$Text"; topic = $Topic }
$Body = [Text.Encoding]::UTF8.GetBytes($Json)

# One attempt: status (0: no answer), seconds to wait (0: not said) and text.
function Send-Message {
    $request = [Net.HttpWebRequest]::Create("$Url/api/v1/messages")
    $request.Method = 'POST'
    $request.ContentType = 'application/json'
    $request.Timeout = 30000
    $request.Headers.Add('Idempotency-Key', $IdempotencyKey)
    [void]$request.ClientCertificates.Add($Certificate)
    try {
        $stream = $request.GetRequestStream()
        $stream.Write($Body, 0, $Body.Length)
        $stream.Close()
        $response = $request.GetResponse()
    } catch {
        $failure = $_.Exception
        while ($failure -and $failure -isnot [Net.WebException]) { $failure = $failure.InnerException }
        if (-not $failure) { throw }
        if ($failure.Status -eq [Net.WebExceptionStatus]::TrustFailure) { throw 'the authority ca.crt is not trusted here' }
        $response = $failure.Response
        if (-not $response) { return @{ Status = 0; Wait = 0; Text = $failure.Message } }
    }
    $wait = 0
    [void][int]::TryParse($response.Headers['Retry-After'], [ref]$wait)
    $reader = New-Object IO.StreamReader -ArgumentList $response.GetResponseStream()
    $answer = @{ Status = [int]$response.StatusCode; Wait = $wait; Text = $reader.ReadToEnd() }
    $reader.Close()
    $response.Close()
    return $answer
}

$giveUp = (Get-Date).AddSeconds($GiveUpAfter)
$pause = 0.5
while ($true) {
    $answer = Send-Message
    if ($answer.Status -eq 202) {
        Write-Output $answer.Text
        exit 0
    }
    if ((0, 408, 429, 500, 502, 503, 504) -notcontains $answer.Status) {
        [Console]::Error.WriteLine("$($answer.Status): $($answer.Text)")
        exit 1
    }
    $wait = $answer.Wait
    if ($wait -eq 0) { $wait = $pause }
    $wait = $wait + (Get-Random -Minimum 0.0 -Maximum 0.5)
    $pause = [Math]::Min($pause * 2, 60)
    if ((Get-Date).AddSeconds($wait) -gt $giveUp) {
        [Console]::Error.WriteLine("$($answer.Status): $($answer.Text)")
        [Console]::Error.WriteLine("given up; send it again with -IdempotencyKey $IdempotencyKey")
        exit 3
    }
    Start-Sleep -Milliseconds ([int]($wait * 1000))
}
