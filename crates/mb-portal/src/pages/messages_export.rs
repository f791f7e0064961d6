//! The messages of a filter as a file. A form, so that no link of somebody else's has it made and recorded in one's name.

use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use mb_api::Query;
use mb_api::dto::{ExportFormat, MessageQuery};

use super::messages::Filter;
use crate::form::Form;
use crate::paging::Place;
use crate::person::Admin;
use crate::respond::see_other;
use crate::stop::Answer;

#[derive(Clone, Debug, Default, serde::Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    format: String,
}

pub(crate) async fn post(Admin(person): Admin, Query(wanted): Query<Wanted>, Form(filter): Form<Filter>) -> Answer {
    let (query, errors) = filter.parse(&Place::default(), &person.zone());
    let format = ExportFormat::ALL.into_iter().find(|format| format.as_str() == wanted.format);
    let Some(format) = format.filter(|_| errors.is_empty()) else {
        // The page of the filter says what is wrong with it.
        return Ok(see_other(&filter.address("/messages", &[])));
    };
    let query = MessageQuery { limit: None, cursor: None, ..query };
    let exported = person.client.export_messages(&query, format).await?;
    let mut response = Response::new(exported.into_body());
    let name = format!("attachment; filename=\"messages.{}\"", format.as_str());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(HeaderValue::try_from(name).map(|name| (CONTENT_DISPOSITION, name)));
    Ok(response)
}
