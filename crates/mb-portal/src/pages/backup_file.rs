//! A backup's file, passed on piece by piece: however large it is, one piece at a time is here.

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use mb_api::dto::{BACKUP_PIECE, BackupFile, BackupFileQuery};
use mb_api::{Client, ClientError};

use crate::person::Admin;
use crate::stop::{Answer, Stop};

pub(crate) async fn get(Admin(person): Admin, Path((backup, file)): Path<(String, String)>) -> Answer {
    let file = BackupFile::ALL.into_iter().find(|known| known.name() == file).ok_or_else(Stop::not_found)?;
    let plain = backup.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !plain {
        return Err(Stop::not_found());
    }
    let saved = HeaderValue::from_str(&format!("attachment; filename=\"{backup}-{}\"", file.name()));
    // What is refused is refused before the first byte.
    let query = BackupFileQuery { backup, file, offset: 0 };
    let first = person.client.backup_file(&query).await?;
    let mut response: Response = Body::from_stream(pieces(person.client, query, first)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.extend(saved.ok().map(|saved| (CONTENT_DISPOSITION, saved)));
    Ok(response)
}

/// `first` and every piece after it. One that does not come breaks the answer off, so that no part passes for the whole.
fn pieces(
    client: Client,
    query: BackupFileQuery,
    first: Bytes,
) -> impl stream::Stream<Item = Result<Bytes, ClientError>> + Send + 'static {
    stream::unfold((client, query, Some(first)), async |(client, mut query, ready)| {
        let piece = match ready {
            Some(piece) => Ok(piece),
            None => client.backup_file(&query).await,
        };
        match piece {
            Ok(piece) if piece.is_empty() => None,
            Ok(piece) => {
                let is_last = (piece.len() as u64) < BACKUP_PIECE;
                query.offset += piece.len() as u64;
                // An empty piece that is ready ends it without another question.
                let ready = is_last.then(Bytes::new);
                Some((Ok(piece), (client, query, ready)))
            }
            Err(error) => Some((Err(error), (client, query, Some(Bytes::new())))),
        }
    })
}
