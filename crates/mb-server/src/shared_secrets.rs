//! Main servers of one store share their secrets: looked at as one starts, before it answers anybody.
//!
//! With another encryption key it could read nothing; with another authority it would make certificates that nobody
//! trusts, and hand the proxies a policy by which they refuse everybody. Either is refused. Another JWT secret is what a
//! change of it looks like, so that is only told.

use mb_core::hex;
use mb_crypto::CryptoError;
use mb_crypto::audit::ChainKey;
use mb_crypto::ca::Ca;
use mb_crypto::jwt::JwtSecret;
use mb_crypto::master::MasterKeys;
use mb_crypto::search::SearchKey;
use mb_store::Store;

use crate::ServerError;

const ACTOR: &str = "system:main-server";

/// The store's setting that holds the wrapped search key, and with it the id of the key that it is wrapped by.
pub(crate) const SEARCH_KEY: &str = "search_key";
/// The store's setting that holds the audit chain's wrapped key.
pub(crate) const CHAIN_KEY: &str = "audit_chain_key";
/// The store's setting that holds the authority's id.
const AUTHORITY: &str = "ca_id";
/// The store's setting by which a JWT secret is known again.
const JWT: &str = "jwt_check";

/// The search key of this store.
///
/// # Errors
/// [`ServerError::OtherMasterKey`], or what the store says.
pub(crate) async fn search_key(store: &Store, master: &MasterKeys) -> Result<SearchKey, ServerError> {
    let wrapped = match store.setting(SEARCH_KEY).await? {
        Some(wrapped) => wrapped,
        // Two main servers may start at once: the first value stays and both use it.
        None => store.setting_or_insert(SEARCH_KEY, &SearchKey::generate().wrap(master)?, ACTOR).await?,
    };
    SearchKey::unwrap(master, &wrapped).map_err(|error| unwrapped(error, master))
}

/// The chain's key comes from the first master key; it is stored, wrapped, so that it outlives that one.
///
/// # Errors
/// As [`search_key`].
pub(crate) async fn chain_key(store: &Store, master: &MasterKeys) -> Result<ChainKey, ServerError> {
    let wrapped = if let Some(wrapped) = store.setting(CHAIN_KEY).await? {
        wrapped
    } else {
        let wrapped = ChainKey::derive(&master.active())?.wrap(master)?;
        store.setting_or_insert(CHAIN_KEY, &wrapped, ACTOR).await?
    };
    ChainKey::unwrap(master, &wrapped).map_err(|error| unwrapped(error, master))
}

fn unwrapped(error: CryptoError, master: &MasterKeys) -> ServerError {
    match error {
        CryptoError::UnknownMasterKey(stored) => ServerError::OtherMasterKey { stored, own: master.active().id() },
        error => error.into(),
    }
}

/// Whether the authority is the one that this store's certificates are of.
///
/// # Errors
/// [`ServerError::OtherAuthority`], or what the store says.
pub(crate) async fn check_authority(store: &Store, ca: &Ca) -> Result<(), ServerError> {
    let own = ca.issuer_id();
    let stored = match store.setting(AUTHORITY).await? {
        Some(stored) => stored,
        None => store.setting_or_insert(AUTHORITY, &own, ACTOR).await?,
    };
    if stored == own {
        return Ok(());
    }
    // While one authority takes another's place both are trusted.
    if ca.trusted_ids().iter().any(|id| stored == id) {
        return note_authority(store, ca).await;
    }
    Err(ServerError::OtherAuthority { stored: hex::encode(&stored), own: hex::encode(&own) })
}

/// Notes that this authority issues from now on.
///
/// # Errors
/// What the store says.
pub(crate) async fn note_authority(store: &Store, ca: &Ca) -> Result<(), ServerError> {
    Ok(store.replace_setting(AUTHORITY, &ca.issuer_id(), ACTOR).await?)
}

/// Tells if the JWT secret is another than the last main server had.
///
/// # Errors
/// What the store says.
pub(crate) async fn check_jwt(store: &Store, search: &SearchKey, jwt: &JwtSecret) -> Result<(), ServerError> {
    // Under a key: who reads the database must not be able to try secrets out.
    let own = search.hash(&format!("jwt-secret {}", jwt.to_text().expose()));
    match store.setting(JWT).await? {
        Some(stored) if stored == own => return Ok(()),
        Some(_) => tracing::warn!(
            "JWT_SECRET is another than the main server had that started last: if several run, give all the same, or \
             access tokens of one are refused by the others"
        ),
        None => {}
    }
    Ok(store.replace_setting(JWT, &own, ACTOR).await?)
}
