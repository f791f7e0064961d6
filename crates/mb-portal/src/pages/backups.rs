//! The backups: which there are, making one, proving one.

use askama::Template;
use axum::extract::Path;
use mb_api::ClientError;
use mb_api::dto::{
    BackupFile, BackupJob, BackupJobKind, BackupJobState, BackupRow, BackupState, Backups, CreateBackup, VerifyBackup,
};
use mb_core::KeyId;

use crate::errors::Errors;
use crate::form::{Empty, Form};
use crate::person::{Admin, Person};
use crate::respond::{mend, page, see_other};
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};
use crate::view::{grouped, size};

#[derive(Template)]
#[template(path = "backups.html")]
struct BackupsPage {
    shell: Shell,
    above: Option<String>,
    backups: Backups,
}

#[derive(Template)]
#[template(path = "backup_job.html")]
struct JobPage {
    shell: Shell,
    job: BackupJob,
}

impl JobPage {
    fn is_running(&self) -> bool {
        self.job.state == BackupJobState::Running
    }

    fn title(&self) -> &'static str {
        match (self.job.kind, self.job.state) {
            (BackupJobKind::Create, BackupJobState::Running) => "Backing up",
            (BackupJobKind::Create, BackupJobState::Done) => "The backup is made",
            (BackupJobKind::Create, BackupJobState::Failed) => "The backup failed",
            (BackupJobKind::Verify, BackupJobState::Running) => "Proving the backup",
            (BackupJobKind::Verify, BackupJobState::Done) => "The backup is proven",
            (BackupJobKind::Verify, BackupJobState::Failed) => "The backup could not be proven",
        }
    }
}

pub(crate) async fn get(Admin(person): Admin) -> Answer {
    page(&list(&person, &Errors::default()).await?)
}

pub(crate) async fn create(Admin(person): Admin, Form(Empty {}): Form<Empty>) -> Answer {
    let outcome = person.client.create_backup(&CreateBackup::default()).await;
    begun(&person, outcome).await
}

pub(crate) async fn verify(Admin(person): Admin, Path(name): Path<String>, Form(Empty {}): Form<Empty>) -> Answer {
    let outcome = person.client.verify_backup(&VerifyBackup { backup: name }).await;
    begun(&person, outcome).await
}

pub(crate) async fn job(Admin(person): Admin, Path(id): Path<String>) -> Answer {
    let id = KeyId::parse(&id).ok_or_else(Stop::not_found)?;
    let job = person.client.backup_job(&id).await?;
    page(&JobPage { shell: person.shell(Section::Backups), job })
}

/// To the job's page, or back with why there is none.
async fn begun(person: &Person, outcome: Result<BackupJob, ClientError>) -> Answer {
    match outcome {
        Ok(job) => Ok(see_other(&format!("/admin/backups/jobs/{}", job.id))),
        Err(error) => mend(&list(person, &Errors::from_refusal(error)?).await?),
    }
}

async fn list(person: &Person, errors: &Errors) -> Result<BackupsPage, Stop> {
    let backups = person.client.backups().await?;
    let above = errors.above(&[]).map(str::to_owned);
    Ok(BackupsPage { shell: person.shell(Section::Backups), above, backups })
}

/// The badge's tone and word.
fn standing(row: &BackupRow) -> (&'static str, &'static str) {
    match (row.state, row.verified_at) {
        (BackupState::Damaged, _) => ("failed", "damaged"),
        (BackupState::Good, Some(_)) => ("delivered", "proven"),
        (BackupState::Good, None) => ("processing", "made"),
    }
}
