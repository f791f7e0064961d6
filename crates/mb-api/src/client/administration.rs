//! Administration of everything but people: certificates, clients, domains, the audit log, notices, figures.

use http::Method;
use mb_core::{ClientName, DomainName, NoticeId};

use super::{Client, ClientError, DEADLINE, bare};
use crate::dto::{
    AuditQuery, AuditReport, AuditRow, AuditVerifyQuery, CertificateQuery, CertificateRow, ClientQuery, ClientRow,
    CreateDomain, DatabaseReport, DomainRow, DomainSettings, ExpiringQuery, GenerateCertificate, GeneratedCertificate,
    NewEpoch, NoticeQuery, NoticeRow, ProxyRow, QueueReport, RetentionProgress, RetentionSettings, RetentionTerms,
    RevokeCertificate, Revoked, RunRetention, SetClientRateLimit, SetClientStatus, Stats, StatsQuery, WorkerRow,
};
use crate::page::{Page, PageQuery};
use crate::paths::{self, with_id};

/// Certificates.
impl Client {
    /// Makes a certificate.
    pub async fn generate_certificate(&self, ask: &GenerateCertificate) -> Result<GeneratedCertificate, ClientError> {
        self.post(paths::CERTIFICATES_GENERATE, ask, None).await
    }

    /// Revokes certificates.
    pub async fn revoke_certificate(&self, ask: &RevokeCertificate) -> Result<Revoked, ClientError> {
        self.post(paths::CERTIFICATES_REVOKE, ask, None).await
    }

    /// One page of certificates.
    pub async fn certificates(&self, query: &CertificateQuery) -> Result<Page<CertificateRow>, ClientError> {
        self.list(paths::CERTIFICATES_LIST, query).await
    }

    /// One page of certificates that expire soon and were not renewed, the first to expire first.
    pub async fn expiring_certificates(&self, query: &ExpiringQuery) -> Result<Page<CertificateRow>, ClientError> {
        self.list(paths::CERTIFICATES_EXPIRING, query).await
    }

    /// The CA certificate, PEM.
    pub async fn ca_certificate(&self) -> Result<String, ClientError> {
        self.text(paths::CA_CERTIFICATE).await
    }

    /// The revocation list, signed anew, PEM.
    pub async fn revocation_list(&self) -> Result<String, ClientError> {
        self.text(paths::CRL_PEM).await
    }

    async fn text(&self, path: &str) -> Result<String, ClientError> {
        let response = self.send(bare(Method::GET, path)?, DEADLINE).await?;
        String::from_utf8(response.into_body().into()).map_err(|error| ClientError::BadAnswer(error.to_string()))
    }
}

/// Clients and domains.
impl Client {
    /// One page of clients, by name.
    pub async fn clients(&self, query: &ClientQuery) -> Result<Page<ClientRow>, ClientError> {
        self.list(paths::CLIENTS, query).await
    }

    /// One client.
    pub async fn client(&self, id: &ClientName) -> Result<ClientRow, ClientError> {
        self.get(&with_id(paths::CLIENT, id)).await
    }

    /// Suspends, resumes or archives a client.
    pub async fn set_client_status(&self, id: &ClientName, ask: &SetClientStatus) -> Result<(), ClientError> {
        self.put(&with_id(paths::CLIENT_STATUS, id), ask).await
    }

    /// Gives a client a rate limit of its own.
    pub async fn set_client_rate_limit(&self, id: &ClientName, ask: &SetClientRateLimit) -> Result<(), ClientError> {
        self.put(&with_id(paths::CLIENT_RATE_LIMIT, id), ask).await
    }

    /// One page of domains, by name.
    pub async fn domains(&self, page: &PageQuery) -> Result<Page<DomainRow>, ClientError> {
        self.list(paths::DOMAINS, page).await
    }

    /// One domain.
    pub async fn domain(&self, id: &DomainName) -> Result<DomainRow, ClientError> {
        self.get(&with_id(paths::DOMAIN, id)).await
    }

    /// Adds a domain.
    pub async fn create_domain(&self, ask: &CreateDomain) -> Result<DomainRow, ClientError> {
        self.post(paths::DOMAINS, ask, None).await
    }

    /// Sets a domain's rules.
    pub async fn set_domain(&self, id: &DomainName, settings: &DomainSettings) -> Result<(), ClientError> {
        self.put(&with_id(paths::DOMAIN, id), settings).await
    }
}

/// What happened, and how much.
impl Client {
    /// One page of the audit log, the newest first.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditRow>, ClientError> {
        self.list(paths::AUDIT, query).await
    }

    /// Checks a stretch of the audit log.
    pub async fn verify_audit(&self, query: &AuditVerifyQuery) -> Result<AuditReport, ClientError> {
        self.list(paths::AUDIT_VERIFY, query).await
    }

    /// One page of notices, the newest first.
    pub async fn notices(&self, query: &NoticeQuery) -> Result<Page<NoticeRow>, ClientError> {
        self.list(paths::NOTICES, query).await
    }

    /// Resolves a notice.
    pub async fn resolve_notice(&self, id: &NoticeId) -> Result<(), ClientError> {
        self.send(bare(Method::POST, &with_id(paths::NOTICE_RESOLVE, id))?, DEADLINE).await.map(drop)
    }

    /// The figures.
    pub async fn stats(&self, query: &StatsQuery) -> Result<Stats, ClientError> {
        self.list(paths::STATS, query).await
    }

    /// The proxies, those that asked last first.
    pub async fn proxies(&self) -> Result<Page<ProxyRow>, ClientError> {
        self.get(paths::PROXIES_STATUS).await
    }

    /// The workers, those that were heard of last first.
    pub async fn workers(&self) -> Result<Page<WorkerRow>, ClientError> {
        self.get(paths::WORKERS_STATUS).await
    }

    /// What is on its way.
    pub async fn queue(&self) -> Result<QueueReport, ClientError> {
        self.get(paths::QUEUE).await
    }

    /// The database.
    pub async fn database(&self) -> Result<DatabaseReport, ClientError> {
        self.get(paths::DATABASE).await
    }

    /// For how long things are kept.
    pub async fn retention(&self) -> Result<RetentionTerms, ClientError> {
        self.get(paths::RETENTION).await
    }

    /// Sets it for all.
    pub async fn set_retention(&self, settings: &RetentionSettings) -> Result<(), ClientError> {
        self.put(paths::RETENTION, settings).await
    }

    /// Removes some of what was kept for long enough.
    pub async fn run_retention(&self, ask: &RunRetention) -> Result<RetentionProgress, ClientError> {
        self.post(paths::RETENTION_RUN, ask, None).await
    }

    /// Gives the store a new epoch.
    pub async fn new_epoch(&self) -> Result<NewEpoch, ClientError> {
        self.json(bare(Method::POST, paths::NEW_EPOCH)?, DEADLINE).await
    }

    /// The document of the API.
    pub async fn openapi(&self) -> Result<serde_json::Value, ClientError> {
        self.get(paths::OPENAPI).await
    }
}
