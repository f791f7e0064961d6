//! Lists that come page by page. As JSON every one of them is an object `{"data": [...], "next": CURSOR or null}`, as the API
//! has it; a list that is short by its nature is fetched whole, so its `next` is always `null`.

use anyhow::Result;
use mb_api::client::ClientError;
use mb_api::page::{MAX_LIMIT, Page};

use crate::output;

/// Fetches every page of a list that is short by its nature.
pub(super) async fn all<T>(
    mut page: impl AsyncFnMut(Option<u32>, Option<String>) -> Result<Page<T>, ClientError>,
) -> Result<Page<T>, ClientError> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let next = page(Some(MAX_LIMIT), cursor).await?;
        rows.extend(next.data);
        cursor = next.next;
        if cursor.is_none() {
            return Ok(Page { data: rows, next: None });
        }
    }
}

/// How far to read a list that grows without end.
#[derive(Debug, clap::Args)]
pub(crate) struct Stretch {
    /// The most rows
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Go on where an earlier list ended
    #[arg(long)]
    cursor: Option<String>,
}

impl Stretch {
    /// Fetches so many rows; says on stderr how to go on if there are more. A page may be shorter than asked for.
    pub(super) async fn rows<T>(
        self,
        mut page: impl AsyncFnMut(Option<u32>, Option<String>) -> Result<Page<T>, ClientError>,
    ) -> Result<Page<T>, ClientError> {
        let (mut rows, mut cursor) = (Vec::new(), self.cursor);
        let mut left = self.limit;
        while left > 0 {
            let next = page(Some(left.min(MAX_LIMIT)), cursor).await?;
            left -= u32::try_from(next.data.len()).unwrap_or(left).min(left);
            rows.extend(next.data);
            cursor = next.next;
            if cursor.is_none() {
                break;
            }
        }
        if let Some(cursor) = &cursor {
            output::note(&format!("there are more: go on with --cursor {cursor}"));
        }
        Ok(Page { data: rows, next: cursor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pages(limit: Option<u32>, cursor: Option<String>) -> Result<Page<u32>, ClientError> {
        let from: u32 = cursor.map_or(0, |cursor| cursor.parse().expect("ours"));
        // Every other page is empty.
        let until = if from.is_multiple_of(2) { from } else { (from + limit.expect("given")).min(7) };
        let next = if until >= 7 { None } else { Some(until + 1 - from % 2) };
        Ok(Page { data: (from..until).collect(), next: next.map(|next| next.to_string()) })
    }

    #[tokio::test]
    async fn short_and_empty_pages_are_not_the_end() {
        assert_eq!(all(pages).await.expect("fetched").data, [1, 2, 3, 4, 5, 6]);
        let stretch = |limit| Stretch { limit, cursor: None };
        let first = stretch(1).rows(pages).await.expect("fetched");
        assert_eq!((first.data, first.next.as_deref()), (vec![1], Some("2")));
        assert_eq!(stretch(100).rows(pages).await.expect("fetched").data, [1, 2, 3, 4, 5, 6]);
    }
}
