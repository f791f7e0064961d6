//! The refusals of routes for people, as the OpenAPI document shows them.

use std::collections::BTreeMap;

use mb_api::problem::{MEDIA_TYPE, Problem};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident => [$($status:literal),+];)*) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$($status),+].into_iter().map(|status| (status.to_string(), problem(status))).collect()
            }
        }
    )*};
}

refusals! {
    /// Of what tries a password, a second factor or a token.
    SigningIn => [400, 401, 408, 413, 422, 429, 500, 503];
    /// The same for what a portal alone may ask.
    PortalSigningIn => [400, 401, 403, 408, 413, 422, 429, 500, 503];
    /// Of what only reads.
    Reading => [401, 403, 422, 500, 503];
    /// Of what reads or changes something that is named.
    Named => [401, 403, 404, 409, 500, 503];
    /// Of what changes something that is named, by a body.
    Changing => [400, 401, 403, 404, 408, 409, 413, 422, 500, 503];
    /// Of what changes one's own account and proves anew who asks.
    Proving => [400, 401, 403, 408, 409, 413, 422, 429, 500, 503];
}

fn problem(status: u16) -> RefOr<Response> {
    let description = match status {
        400 => "The body is not valid JSON",
        401 => "No valid identity, wrong credentials, or a token that is not, or no longer, good",
        403 => "Not allowed",
        404 => "There is nothing here",
        408 => "The body took too long to arrive",
        409 => "The state does not allow this",
        413 => "The body is too large",
        422 => "Some fields break rules",
        429 => "Too many attempts; see Retry-After",
        503 => "Unavailable at the moment; see Retry-After",
        _ => "An internal error",
    };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    ResponseBuilder::new().description(description).content(MEDIA_TYPE, content).build().into()
}
