//! The two proofs of a sign-in: password and second factor. Every way in goes through here.
//!
//! An address that is nobody's, an account that may not sign in and a wrong password are one answer that takes one time.
//! A second factor is asked for only after the right password.

use std::net::IpAddr;
use std::time::Duration;

use mb_api::dto::SecretText;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::throttle::{Held, Network, Throttle, Try};
use mb_core::{Email, Timestamp};
use mb_crypto::sealed_value::{self, Purpose};
use mb_crypto::totp::{RecoveryCode, TotpSecret};
use mb_store::{Acquaintance, Totp, User};

use super::refusals::{self, Refusal, Target};
use crate::app::App;
use crate::routes::store_fault;

/// The user of this address, if the password is right and the user may sign in.
///
/// # Errors
/// 401 `wrong_credentials`, 429, 503.
pub(crate) async fn password(app: &App, address: &str, password: &SecretText, from: IpAddr) -> Result<User, ApiError> {
    let email = Email::parse(address);
    let account = email.as_ref().map_or(address, Email::as_str);
    prove(app, &Try::password(account, Network::of(from)), account, password, from).await
}

/// Proves the password once more, in a session of its account: guesses at the account from elsewhere do not hold it.
///
/// # Errors
/// 401 `wrong_credentials`, 429, 503.
pub(crate) async fn own_password(
    app: &App,
    user: &User,
    password: &SecretText,
    from: IpAddr,
) -> Result<User, ApiError> {
    prove(app, &Try::own_password(&user.email), &user.email, password, from).await
}

async fn prove(app: &App, attempt: &Try, account: &str, password: &SecretText, from: IpAddr) -> Result<User, ApiError> {
    // Who is held is told at once. It counts only when its turn has come, so that right passwords that come at once do
    // not look like guesses, and wrong ones that come at once are no way around.
    held(app, attempt, |throttle, attempt, now| throttle.ready(attempt, now), account, from).await?;
    let found = match Email::parse(account) {
        Some(email) => app.store.user_by_email(email.as_str()).await.map_err(store_fault)?,
        None => None,
    };
    let turn = app.people.hashing.turn().await?;
    held(app, attempt, Throttle::begin, account, from).await?;
    let hash = found.as_ref().map(|user| user.password_hash.clone());
    let right = match turn.verify(password, hash).await {
        Ok(right) => right,
        Err(error) => {
            give_back(app, attempt);
            return Err(error);
        }
    };
    let target = if found.is_some() { Target::Account(account) } else { Target::Nobody(account) };
    let Some(user) = found.filter(|user| right && user.may_sign_in(app.clock.now())) else {
        return Err(refuse(app, target, from, wrong()).await);
    };
    // With a second factor the password alone proves nobody, and forgets no failure.
    match user.totp {
        Totp::On { .. } => give_back(app, attempt),
        Totp::Off | Totp::Pending { .. } => succeeded(app, attempt),
    }
    Ok(user)
}

/// Proves the second factor of a user whose password was right, if it is on.
///
/// # Errors
/// 401 `otp_required` or `wrong_credentials`, 429, 503.
pub(crate) async fn second_factor(
    app: &App,
    user: &User,
    otp: Option<&SecretText>,
    from: IpAddr,
) -> Result<(), ApiError> {
    let Totp::On { secret, .. } = &user.totp else { return Ok(()) };
    let Some(otp) = otp else {
        let error = ApiError::new(ProblemCode::OtpRequired, "the second factor is missing: send it as otp");
        return Err(refuse(app, Target::Account(&user.email), from, error).await);
    };
    let attempt = Try::second_factor(&user.email, Network::of(from));
    held(app, &attempt, Throttle::begin, &user.email, from).await?;
    match check_otp(app, user, secret, otp).await {
        Ok(true) => {
            succeeded(app, &attempt);
            Ok(())
        }
        Ok(false) => Err(refuse(app, Target::Account(&user.email), from, wrong()).await),
        Err(error) => {
            give_back(app, &attempt);
            Err(error)
        }
    }
}

/// Proves a second factor that is on offer and not on yet: the time step of the code, if it is right.
///
/// # Errors
/// 401 `wrong_credentials`, 429.
pub(crate) async fn offered_factor(
    app: &App,
    user: &User,
    secret: &TotpSecret,
    otp: &SecretText,
    from: IpAddr,
) -> Result<u64, ApiError> {
    let attempt = Try::own_factor(&user.email);
    held(app, &attempt, Throttle::begin, &user.email, from).await?;
    let Some(step) = secret.verify(otp.secret().expose(), app.clock.now()) else {
        return Err(refuse(app, Target::Account(&user.email), from, wrong()).await);
    };
    succeeded(app, &attempt);
    Ok(step)
}

/// Counts a token that is none: what is good is looked up first and never held, as nobody guesses 256 bits.
///
/// # Errors
/// 429.
pub(crate) async fn bad_token(app: &App, from: IpAddr) -> Result<(), ApiError> {
    held(app, &Try::token(Network::of(from)), Throttle::begin, "", from).await
}

/// Counts a token that is none and returns what to answer.
pub(crate) async fn refuse_token(app: &App, from: IpAddr, error: ApiError) -> ApiError {
    match bad_token(app, from).await {
        Ok(()) => refuse(app, Target::Nobody(""), from, error).await,
        Err(held) => held,
    }
}

/// Counts that somebody asks for a mail. Never given back: each may go to somebody who did not ask.
///
/// # Errors
/// 429.
pub(crate) async fn ask_mail(app: &App, from: IpAddr) -> Result<(), ApiError> {
    held(app, &Try::mail(Network::of(from)), Throttle::begin, "", from).await
}

fn give_back(app: &App, attempt: &Try) {
    let now = app.clock.now();
    app.people.throttle(|throttle| throttle.give_back(attempt, now));
}

fn succeeded(app: &App, attempt: &Try) {
    let now = app.clock.now();
    app.people.throttle(|throttle| throttle.succeeded(attempt, now));
}

/// Asks the memory of tries.
async fn held(
    app: &App,
    attempt: &Try,
    ask: impl Fn(&mut Throttle, &Try, Timestamp) -> Result<(), Held>,
    account: &str,
    from: IpAddr,
) -> Result<(), ApiError> {
    let now = app.clock.now();
    let mut answer = app.people.throttle(|throttle| ask(throttle, attempt, now));
    if answer.is_ok() {
        return Ok(());
    }
    let known = acquaintance(app, account, from).await?;
    if known == Acquaintance::Familiar && matches!(answer, Err(Held::Slowed(_))) {
        answer = app.people.throttle(|throttle| {
            throttle.remember(account, Network::of(from));
            ask(throttle, attempt, now)
        });
    }
    let Err(held) = answer else { return Ok(()) };
    let target = if known == Acquaintance::NoAccount { Target::Nobody(account) } else { Target::Account(account) };
    let (code, detail, wait) = match held {
        Held::Locked(wait) => (ProblemCode::AccountLocked, "too many failures: the account is locked from here", wait),
        Held::Slowed(wait) => (ProblemCode::TooManyAttempts, "too many attempts: wait before the next", wait),
    };
    let error = ApiError::new(code, detail).retry_after(whole_seconds(wait));
    Err(refuse(app, target, from, error).await)
}

/// How well the account knows the network. What this process remembers ends with it; what is stored does not, so a restart
/// under attack keeps no owner out.
async fn acquaintance(app: &App, account: &str, from: IpAddr) -> Result<Acquaintance, ApiError> {
    let Some(email) = Email::parse(account) else { return Ok(Acquaintance::NoAccount) };
    app.store.acquaintance(email.as_str(), Network::of(from)).await.map_err(store_fault)
}

/// Rounded up: a caller that waits so long is not refused again.
fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_micros().div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1)
}

/// Records the refusal and returns it.
async fn refuse(app: &App, target: Target<'_>, from: IpAddr, error: ApiError) -> ApiError {
    app.metrics.sign_in(error.code().as_str());
    refusals::record(app, Refusal::of_sign_in(from, target, error.code().as_str())).await;
    error
}

pub(crate) fn wrong() -> ApiError {
    ApiError::new(ProblemCode::WrongCredentials, "the address, the password or the second factor is wrong")
}

async fn check_otp(app: &App, user: &User, sealed: &[u8], otp: &SecretText) -> Result<bool, ApiError> {
    let secret = open_secret(app, user, sealed)?;
    let otp = otp.secret().expose();
    if let Some(step) = secret.verify(otp, app.clock.now()) {
        return app.store.use_totp_step(user.id, step).await.map_err(store_fault);
    }
    let Some(code) = RecoveryCode::parse(otp) else { return Ok(false) };
    let kept = app.store.recovery_codes(user.id).await.map_err(store_fault)?;
    match kept.iter().find(|kept| code.is(&secret, &kept.hash)) {
        Some(kept) => app.store.consume_recovery_code(user.id, kept.id, &user.email).await.map_err(store_fault),
        None => Ok(false),
    }
}

/// The secret of a user's second factor.
///
/// # Errors
/// 500 if it does not open.
pub(crate) fn open_secret(app: &App, user: &User, sealed: &[u8]) -> Result<TotpSecret, ApiError> {
    let opened = sealed_value::open(&app.master, Purpose::TotpSecret, &user.id.to_string(), sealed);
    opened.and_then(|bytes| TotpSecret::from_bytes(&bytes)).map_err(ApiError::internal)
}
