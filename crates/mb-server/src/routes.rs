//! The main server's routes, one file per resource.

mod certificates;
mod confirm;
mod pki;
mod policy;
mod public;
mod register;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use mb_api::paths;
use mb_api::problem::ApiError;

use crate::app::App;

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(public::root))
        .route(paths::CA_CERTIFICATE, get(pki::ca))
        .route(paths::CRL_PEM, get(pki::crl_pem))
        .route(paths::CRL_DER, get(pki::crl_der))
        .route(paths::PKI_RENEW, post(pki::renew))
        .route(paths::REGISTER, post(register::register))
        .route(paths::CONFIRM, post(confirm::confirm))
        .route(paths::STATUS, post(status::status))
        .route(paths::POLICY, get(policy::policy))
        .route(paths::CERTIFICATES_GENERATE, post(certificates::generate))
        .route(paths::CERTIFICATES_REVOKE, post(certificates::revoke))
        .route(paths::CERTIFICATES_LIST, get(certificates::list))
        .with_state(app)
}

/// A fault of the store as the caller sees it, the reason stays in the log. A fault that repeating does not cure must not
/// read as one that passes: the worker splits a batch only if the fault may be the batch's.
pub(crate) fn store_fault(error: mb_store::StoreError) -> ApiError {
    if error.is_passing() { ApiError::unavailable(error) } else { ApiError::internal(error) }
}

#[cfg(test)]
mod tests {
    use mb_api::problem::ProblemCode;
    use mb_store::StoreError;

    use super::store_fault;

    #[test]
    fn only_what_passes_asks_for_a_repeat() {
        assert_eq!(store_fault(StoreError::Closed).code(), ProblemCode::Unavailable);
        for lasting in [StoreError::Damaged("id"), StoreError::Missing("epoch")] {
            assert_eq!(store_fault(lasting).code(), ProblemCode::Internal);
        }
    }
}
